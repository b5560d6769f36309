"""`b2ner adapter`: adapters averaged, merged into their base, described, pushed to the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from b2ner import files
from b2ner.errors import InputError
from b2ner.workflows import share

app = typer.Typer(help="Average, merge, describe and share adapters.", no_args_is_help=True)

_Adapter = Annotated[Path, typer.Argument(help="The adapter's folder, such as a checkpoint.")]
_Base = Annotated[
    str | None,
    typer.Option("--base", help="What to call its base; else what the adapter names."),
]
_Run = Annotated[
    Path | None,
    typer.Option("--run", help="The folder of the run that made it, where that is elsewhere."),
]
_Licence = Annotated[
    str | None,
    typer.Option("--base-licence", help="The base's licence, as an id of the hub: apache-2.0."),
]


@app.command("merge")
def merge_command(
    adapter: Annotated[str, typer.Argument(help="The adapter: a folder or a hub id.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model's folder, which is not there yet.")
    ],
    base: Annotated[
        str | None,
        typer.Option("--base", help="The base; else the one that the adapter names."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="bf16, fp32 or fp16; else the format of the base."),
    ] = None,
) -> None:
    """Write base and adapter as one plain model folder.

    b2ner loads it with --base, and other programs like any model in safetensors.
    """
    typer.echo(share.merge(adapter, output, base=base, dtype=dtype))


@app.command("average")
def average_command(
    checkpoints: Annotated[
        list[Path], typer.Argument(help="Checkpoints of one run: RUN/checkpoints/step-*.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The new adapter's folder.")],
) -> None:
    """Write the mean of a run's checkpoints as an adapter.

    The mean of late checkpoints is often better than each of them, most of all before the learning
    rate has come down.
    """
    from b2ner.training.checkpoints import average

    typer.echo(average(checkpoints, output))


@app.command("card")
def card_command(
    adapter: _Adapter,
    base: _Base = None,
    run: _Run = None,
    place: Annotated[
        str | None,
        typer.Option("--place", help="What users will load: a hub id; else the folder's name."),
    ] = None,
    base_licence: _Licence = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put it in the place of a README that is there.")
    ] = False,
) -> None:
    """Write the adapter's README.md: what it is, how to use it, data, scores, limits and terms.

    It is made from b2ner.json and, for a checkpoint, from the folder of its run. Read it before you
    share it.
    """
    text = share.describe(adapter, base=base, run=run, place=place, licence=base_licence)
    path = adapter / share.README
    if path.exists() and not overwrite:
        raise InputError(f"{path} is there already; --overwrite puts a new one in its place")
    files.write_atomic(path, [text.encode()])
    typer.echo(path)


@app.command("push")
def push_command(
    adapter: _Adapter,
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face hub.")],
    public: Annotated[
        bool,
        typer.Option("--public", help="Let everybody see a new repository; else it is private."),
    ] = False,
    base: _Base = None,
    run: _Run = None,
    base_licence: _Licence = None,
) -> None:
    """Upload the adapter, its card and its README to the Hugging Face hub.

    The token comes from HF_TOKEN or from `hf auth login`. A repository that is there already stays
    public or private as it is.
    """
    pushed = share.push(
        adapter, repository, public=public, base=base, run=run, licence=base_licence
    )
    typer.echo(f"sent {', '.join(pushed.files)}", err=True)
    typer.echo(pushed.url)
