"""`linewright score | explain`: the champion's verdicts, and where they come from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from components.core.wording import listed
from flows.commands.common import (
    Json,
    LineName,
    coloured,
    console,
    errors,
    named_path,
    open_workspace,
    print_json,
    table,
)

if TYPE_CHECKING:
    from components.core.contracts import Verdict
    from flows.jobs.score import ScoreRun

SHOWN = 40
"""Verdicts that the table shows; `--json` prints all."""

OTHERS_SHOWN = 3
"""Files of other kinds that are named."""

COLUMNS_SHOWN = 15
"""Columns of a window that its explanation names; `--json` names all."""

CANCEL = 4.0
"""So many times what Shapley values add up to their amounts may be before a reader is warned."""

ID_SHOWN = 12
"""Characters of a verdict's id that the table shows: enough for `explain` and `lineage` to find it."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(score)
    app.command()(explain)


def score(
    name: LineName,
    paths: Annotated[list[Path], typer.Argument(parser=named_path, metavar="PATH...", help="Files or folders.")],
    fdr: Annotated[
        float | None,
        typer.Option(help="Flag what stands out of this batch; the share of normal samples among the flagged."),
    ] = None,
    json: Json = False,
) -> None:
    """Score files with the champion; verdicts are stored."""
    from flows.commands.common import bars
    from flows.jobs.score import score_paths

    app = open_workspace()
    line = app.line(name)
    with bars():
        found = score_paths(app, line, paths=paths, fdr=fdr)
    if json:
        for verdict in found.verdicts:
            shown = verdict.model_dump(mode="json", exclude={"line", "created"}, exclude_none=True)
            if found.flagged is not None:
                shown["flagged"] = verdict.verdict_id in found.flagged
            print_json(shown)
    elif found.verdicts:
        worst = sorted(found.verdicts, key=lambda verdict: verdict.score, reverse=True)[:SHOWN]
        rows = [
            [
                escape(_below(verdict.path, paths) + _rows(verdict)),
                f"{verdict.score:.4g}",
                coloured(verdict.verdict),
                verdict.severity or "",
                "" if verdict.p_value is None else f"{verdict.p_value:.3g}",
                verdict.verdict_id[:ID_SHOWN],
            ]
            for verdict in worst
        ]
        counts = {word: sum(verdict.verdict == word for verdict in found.verdicts) for word in ("OK", "NG", "unsure")}
        title = f"{len(found.verdicts)} verdicts by v{found.model_version}, the most anomalous first"
        table(title, ["sample", "score", "verdict", "severity", "p", "id"], rows, empty="")
        console.print("  ".join(f"{coloured(word)} {count}" for word, count in counts.items()))
        if found.many:
            console.print(f"[yellow]note:[/] {found.many} (linewright drift {name})", soft_wrap=True)
        if found.flagged is not None:
            console.print(
                f"{len(found.flagged)} of {len(found.verdicts)} are flagged at a false-discovery rate of {fdr:g}; "
                f"it takes {found.fewest} or more at once"
            )
        if found.overlays:
            console.print(f"Heat maps: {found.overlays}", soft_wrap=True)
    _tell_unscored(found)
    found.raise_if_refused()


def _tell_unscored(found: "ScoreRun") -> None:
    """What has no part in the verdicts, on standard error; a single file that was refused is named by the error."""
    if found.changed:
        errors.print(f"[yellow]note:[/] {escape(found.changed)}", soft_wrap=True)
    if found.others:
        named = listed(found.others, most=OTHERS_SHOWN)
        errors.print(f"[yellow]note:[/] of other kinds, not scored: {escape(named)}", soft_wrap=True)
    if len(found.refused) > 1:
        for said in found.refused:
            errors.print(f"Not scored: {escape(said)}", soft_wrap=True)


def _below(path: str, given: list[Path]) -> str:
    """What `path` adds to the one path that was given; whole where several were, or its name is written otherwise."""
    root, found = given[0].absolute(), Path(path)
    if len(given) > 1 or not found.is_relative_to(root):
        return path
    return found.name if found == root else str(found.relative_to(root))


def _rows(verdict: "Verdict") -> str:
    return "" if verdict.start is None else f"[{verdict.start}:{verdict.end}]"


def _tell_shap(values: list[dict[str, Any]], *, base: float) -> None:
    """The columns that move the score most; the largest come first."""
    rows = [[escape(item["feature"]), f"{item['value']:+.4f}"] for item in values[:COLUMNS_SHOWN]]
    if rest := values[COLUMNS_SHOWN:]:
        rows.append([f"{len(rest)} others, which --json prints", f"{sum(item['value'] for item in rest):+.4f}"])
    title = f"SHAP values: what moves the score from its usual {base:.4g}, higher is more anomalous"
    table(title, ["feature", "moves it by"], rows, empty="")
    total = abs(sum(item["value"] for item in values))
    moved = sum(abs(item["value"]) for item in values)
    if moved > CANCEL * total:
        console.print(
            f"  [yellow]note:[/] columns move it by {moved:.4g} in all, most of which they take back from each other:"
            " where sensors tell each other's values, the one that is named need not be the one at fault",
            soft_wrap=True,
        )


def explain(
    name: LineName,
    subject: Annotated[str, typer.Argument(metavar="SAMPLE|VERDICT", help="A sample's or a verdict's id.")],
    json: Json = False,
) -> None:
    """Explain one verdict: a heat map for an image, SHAP values for a window."""
    from flows.jobs.explain import explain_subject

    app = open_workspace()
    line = app.line(name)
    found = explain_subject(app, line, subject)
    if json:
        print_json(found)
        return
    console.print(
        f"[bold]{escape(found['path'])}[/]  score {found['score']:.4g}, threshold {found['threshold']:.4g}: "
        f"{coloured(found['verdict'])} by {name} v{found['model_version']}"
    )
    if "shap" in found:
        _tell_shap(found["shap"], base=found["base"])
    for item in found.get("checks", []):
        console.print(f"  {item}")
    for key in ("picture", "time_picture"):
        if key in found:
            console.print(f"Picture: {found[key]}", soft_wrap=True)
