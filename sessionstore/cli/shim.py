"""`sessionstore shim --to FOLDER`: let programs that import ``simulation.swarm.boxes`` go on.

Not here: the files that are written (boxes.shim).
"""

from __future__ import annotations

import click


@click.command()
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False), help="The folder of those programs.")
def shim(folder: str) -> None:
    """Write small files that forward `simulation.swarm.boxes` and the old programs to this package.

    A file that is there with other content is never changed: the command stops before it writes anything.
    """
    from sessionstore.boxes.shim import write_shim

    new = write_shim(folder)
    for path in new:
        click.echo(str(path))
    click.echo(f"{len(new)} files written below {folder}", err=True)
