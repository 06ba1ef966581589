"""Simulations that the server runs, each in a process of its own.

Not here: the routes that control them (server.routes.control).
"""
