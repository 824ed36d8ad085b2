"""`dacse serve`: a page and a small HTTP API on this machine, over models that stay loaded.

    security     who may ask: token, Host, Origin; the headers of every answer
    uploads      a request's body -> a file, never more than is allowed
    problems     every error as JSON in the form that OpenAI's API gave it
    workspace    a private folder that is gone when the server is, however it ends
    recordings   the uploaded recordings and their progress
    worker       the one thread that runs the models: first seconds of everything first
    preview      the first seconds in every strength, to see and hear
    downloads    a finished recording as the requested file
    pages        the page, from its own assets and the report's player
    app          addresses -> the above
    server       from options to a running server

Uses the library (`dacse_cli.api`) and the report's pictures; loads no model itself.
"""
