"""Moved to `dacse_cli.files`: kept until every importer has followed."""

from dacse_cli.files.atomic import Written as Written
from dacse_cli.files.atomic import commit as commit
from dacse_cli.files.atomic import discard_part as discard_part
from dacse_cli.files.atomic import lock_file as lock_file
from dacse_cli.files.atomic import remove_if_stale as remove_if_stale
from dacse_cli.files.atomic import stage_bytes as stage_bytes
from dacse_cli.files.atomic import sweep as sweep
from dacse_cli.files.atomic import write_bytes_atomically as write_bytes_atomically
from dacse_cli.files.problems import output_error as output_error
