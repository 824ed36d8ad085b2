"""One command from request to summary: processes started, watched, and stopped. Imports no torch."""
