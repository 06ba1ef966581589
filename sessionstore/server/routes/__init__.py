"""The routes of the API, one module for each part, and their schemas.

Not here: HTTP itself (server.http), running simulations (server.flights).
"""
