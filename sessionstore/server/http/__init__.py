"""HTTP: the application, operations and replies, problems, security, OpenAPI, serving.

Not here: what the routes answer (server.routes), live views (server.live).
"""
