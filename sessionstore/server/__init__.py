"""The HTTP API: the store and the live simulation for programs and browsers, on port 5007.

    operations   what a route is: method, path, schemas, a plain function from Call to Reply
    app          the routes together as one ASGI application; reading requests, sending replies
    security     hosts, origins, content types, tokens, limits: before any route is looked at
    protocol     sockets that say nothing, or too slowly, are closed
    errors       one table from exceptions to problem+json

Imports starlette, uvicorn and apispec (the extra ``api``); nothing below imports this package.
"""
