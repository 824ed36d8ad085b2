"""`dacse serve`: a page and a small HTTP API on this machine, over models that stay loaded.

    security     access control: token, Host, Origin; the headers of every response
    uploads      a request's body -> a file, up to a size limit
    problems     every error as JSON in the form of OpenAI's API
    workspace    a private folder that is removed when the server ends, even if it is killed
    recordings   the uploaded recordings and their progress
    worker       the one thread that runs the models; it enhances all first seconds before anything else
    preview      the first seconds in every strength, for the player
    downloads    a finished recording as the requested file
    pages        the page, from its own assets and the report's player
    app          the handlers of all addresses
    server       starts and stops the server

Uses the library (`dacse_cli.api`) and the report's pictures; does not load models itself.
"""
