"""Reading a recording: replay, downsampling, the overview of a long flight, charts and comparison.

Not here: the streams themselves (session.stream_reader), the web page (server).
"""
