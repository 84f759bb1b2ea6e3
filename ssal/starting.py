"""Start a project: look at a folder, settle its classes, write a recipe; all that is wrong is said at once."""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ssal.artefacts import write_text
from ssal.data.checks import check_sides
from ssal.errors import BadInput, nearest
from ssal.errors import listing as some
from ssal.labelling.naming import name_problems, no_name
from ssal.names import run_name
from ssal.suggest import next_command, recipe_text, suggest
from ssal.survey import Survey, look


def start(folder: Path, classes: str, classes_file: Path | None, recipe: Path, overwrite: bool, gpu: bool) -> list[str]:
    """Write a recipe for the images in `folder` to `recipe`; return what was seen, and what to type next.

    `classes` has commas between names, `classes_file` one name per line; neither is needed where folders are classes.
    Raises BadInput, and leaves `recipe` as it is, where a project cannot start like this.
    """
    _check_places(folder, recipe, overwrite)
    typed = _typed(classes, classes_file)
    survey = look(str(folder))
    names = _classes(typed, survey)
    check_sides(survey.sides, names, "given" if survey.waiting else "hidden", own_parts=survey.own_test_part)
    suggestion = suggest(survey, names, gpu=gpu)
    text = recipe_text(survey, suggestion, names, run_name(folder), recipe)
    _check_places(folder, recipe, overwrite)  # looking took its time
    write_text(recipe, text)
    said = [*survey.lines(), f"classes: {len(names)} ({some(names, 10)})"]
    if not suggestion.people:
        said.append(
            "every image to learn from has a label: there is nothing to ask people, and the recipe compares strategies "
            "(labels: hidden); for a project add images without a label, in a folder named unlabelled"
        )
    sizes = f"{suggestion.first_size} labels first, then {suggestion.query_size} at a time, {suggestion.budget} in all"
    said.append(f"wrote {recipe}: {suggestion.size} pixels, {suggestion.backbone}, {sizes}; the reasons stand in it")
    return [*said, f"next: {next_command(suggestion, recipe)}"]


def _check_places(folder: Path, recipe: Path, overwrite: bool) -> None:
    problems = []
    if not folder.expanduser().exists():
        beside = [path.name for path in folder.expanduser().absolute().parent.glob("*") if path.is_dir()]
        problems.append(f"{folder} does not exist (from {Path.cwd()}){nearest(folder.name, beside)}")
    elif Path.cwd().is_relative_to(inside := folder.expanduser().resolve()):
        problems.append(
            f"{folder} is the folder that commands are typed in, or lies above it, and what runs write would land "
            f"among the images; type cd {shlex.quote(str(inside.parent))} and ssal init {shlex.quote(inside.name)}"
        )
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        problems.append(f"{os.fspath(folder)!r} is no UTF-8 text, which a recipe is; rename the folder")
    if recipe.is_dir() or not recipe.absolute().parent.is_dir():
        problems.append(f"--recipe: {recipe} is no place for a file; type the name of a recipe in a folder that exists")
    elif recipe.exists() and not overwrite:
        problems.append(f"--recipe: {recipe} exists; type --overwrite to replace it, or another --recipe")
    if problems:
        raise BadInput("\n".join(problems))


def _typed(classes: str, file: Path | None) -> list[str]:
    """Return the names that were typed, or those in a file; none where there are neither."""
    if classes and file:
        raise BadInput("--classes and --classes-file: both name the classes; type one of them")
    option, names = "--classes", classes.split(",") if classes else []
    if file:
        option = f"--classes-file {file}"
        try:
            lines = file.read_bytes().decode("utf-8-sig").splitlines()
        except OSError as error:
            raise BadInput(
                f"--classes-file: {file} cannot be read ({error.strerror}); expected one name per line"
            ) from error
        except UnicodeDecodeError as error:
            raise BadInput(f"--classes-file: {file}: expected UTF-8 text, one name per line ({error})") from error
        names = [line for line in lines if line.strip()]
        if not names:
            raise BadInput(f"--classes-file: {file} names no class; expected one name per line")
    names = [unicodedata.normalize("NFC", name.strip()) for name in names]
    problems = name_problems(names)
    if len(names) == 1:
        problems.append(f"expected two or more names, got {names[0]!r} alone; with commas between them, or in a file")
    if problems:
        more = [f"and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise BadInput("\n".join(f"{option}: {problem}" for problem in [*problems[:20], *more]))
    return names


def _classes(typed: Sequence[str], survey: Survey) -> list[str]:
    """Return the names of the classes: those typed, in that order, spelt as class folders are, or else the folders'."""
    folders = sorted(survey.classes)
    hint = f"type ssal init {shlex.quote(survey.path)} --classes "
    if not typed and not folders:
        raise BadInput(
            "--classes: no image has a label yet, so name the classes that people may answer: "
            f"{hint}cat,dog (or --classes-file FILE with one name per line, or put some images into class folders)"
        )
    if not typed and len(folders) == 1:
        raise BadInput(
            f"--classes: there is a single class folder, {folders[0]!r}; name the other classes, too: "
            f"{hint}{shlex.quote(f'{folders[0]},other')}"
        )
    if survey.waiting and (odd := [f"the folder {name!r} {why}" for name in folders if (why := no_name(name))]):
        raise BadInput(f"{survey.path}: {'; '.join(odd)} for it")
    spelt = {unicodedata.normalize("NFC", name): name for name in folders}
    unknown, wanted = [name for plain, name in spelt.items() if typed and plain not in typed], list(typed)
    for name in unknown:
        close = get_close_matches(name, wanted, n=1)
        wanted = [other for other in wanted if other not in close] + [name]
    if unknown:
        counts = (f"  {name!r} ({survey.classes[name]} images){nearest(name, typed)}" for name in unknown[:20])
        raise BadInput(
            f"--classes: folders are labels, and {len(unknown)} of {len(folders)} class folders have other names:\n"
            + "\n".join(counts)
            + f"\n  rename the folders, or {hint}{shlex.quote(','.join(wanted))}; folders that are no classes go "
            "into one folder called unlabelled"
        )
    return [spelt.get(name, name) for name in typed] or folders
