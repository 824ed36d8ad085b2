"""Jobs, chunks, batches, journal and processes: what drives the other rooms over thousands of files."""
