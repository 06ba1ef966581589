"""Live views: changes of the store, feeds of running sessions, cached records and overviews.

Not here: the routes that serve them (server.routes).
"""
