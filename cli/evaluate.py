"""`covoguard evaluate`."""

from pathlib import Path

import click

from ..core.audio import DecodeLimits
from ..core.errors import UsageError
from ..core.progress import silent
from ..core.protocols import Scorer
from ..detect.policy import Policy, load_policy
from ..pipeline.crew import default_jobs
from ..pipeline.evaluate import EvaluationPlan
from ..pipeline.evaluate import evaluate as measure
from ..pipeline.evaluation_scores import (
    ScoreSet,
    bundled_trained_on_sha256,
    is_csv,
    read_labelled,
    scan_clips,
    scores_from_csv,
    scores_from_records,
    trained_on_sha256,
    with_records,
)
from ..pipeline.evaluation_segments import read_segment_labels
from ..pipeline.models import load_scorer
from ..reports.evaluation import EVALUATION_FORMATS
from ..reports.outputs import Outputs
from ..reports.read import read_records
from .inputs import keep_inputs
from .options import EXIT_NOT_ANALYSABLE, jobs_option, limit_options, policy_option, verbosity_options
from .terminal import shows_progress, with_progress


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--detector", help="Detector that scores the clips (see `covoguard models list`).")
@click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Model folder to score with instead of a bundled one.",
)
@click.option(
    "--scores",
    "scores_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Scores made before: .jsonl or .parquet of `covoguard scan`, or a CSV with clip and score (or log10_lr).",
)
@click.option(
    "--higher-is-bonafide", is_flag=True, help="The CSV's scores are higher for bona fide speech, as in ASVspoof."
)
@click.option(
    "-o",
    "--output",
    "output_files",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Write the report to FILE (.html, .md, .json, .txt), whole or not at all. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Every figure and curve on standard output, as JSON.")
@click.option("--threshold", type=float, help="Score at or above which a clip is flagged. Default: the policy's.")
@click.option("--dev-fold", help="Set the threshold on this fold, and leave the fold out of all figures.")
@click.option(
    "--max-fpr",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.01,
    show_default=True,
    help="False alarms that the threshold of --dev-fold may give there.",
)
@click.option(
    "--segments",
    "segments_file",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="Labels of stretches of time (clip, start_s, end_s, label), to measure the windows of a scan.",
)
@click.option(
    "--tolerance",
    "tolerance_s",
    type=click.FloatRange(0, 60),
    default=0.25,
    show_default=True,
    metavar="SECONDS",
    help="Time on either side of a segment boundary that is not measured.",
)
@click.option(
    "--min-clips", type=click.IntRange(1), default=5, show_default=True, help="Clips that a group needs of each side."
)
@click.option(
    "--bootstrap",
    "n_resamples",
    type=int,
    default=1000,
    show_default=True,
    help="Resamples for the intervals, 1000 or more; 0: no intervals.",
)
@click.option("--seed", type=click.IntRange(0), default=2026, show_default=True, help="Decides the resamples.")
@policy_option
@jobs_option
@limit_options
@verbosity_options
def evaluate(
    manifest: Path, detector: str | None, model_folder: Path | None, scores_file: Path | None,
    higher_is_bonafide: bool, output_files: tuple[Path, ...], as_json: bool, threshold: float | None,
    dev_fold: str | None, max_fpr: float, segments_file: Path | None, tolerance_s: float, min_clips: int,
    n_resamples: int, seed: int, policy_file: Path | None, jobs: int | None, timeout_s: float, max_duration_s: float,
    quiet: bool,
) -> None:  # fmt: skip
    """Measure a detector on labelled clips: error rates, calibration, by generator, source and condition.

    MANIFEST is a CSV file as for `covoguard train`: clip, file, label (bonafide or spoof), fold, and where known
    generator, family, kind, source, voice_pool (sources that share voices), speaker, language, codec, snr_db,
    bandwidth_hz, duration_s, condition. Scores come from a detector, or from a file, so that any other system can be
    measured too. Exits with 3 when clips have no score.

    \b
    Examples:
      covoguard evaluate corpus/manifest.csv --detector logband-resnet -o report.html
      covoguard evaluate corpus/manifest.csv --scores results.jsonl -o report.json --json
      covoguard evaluate corpus/manifest.csv --scores others.csv --higher-is-bonafide --dev-fold 0
    """
    _check_choice(detector, model_folder, scores_file, higher_is_bonafide)
    keep_inputs([str(path) for path in (manifest, scores_file, segments_file) if path], output_files)
    plan = EvaluationPlan(threshold, dev_fold, max_fpr, min_clips, n_resamples, seed, tolerance_s)
    policy = load_policy(policy_file)
    watched = shows_progress(quiet=quiet, rows_on_terminal=False)
    shown = EVALUATION_FORMATS["json"] if as_json else None if quiet else EVALUATION_FORMATS["table"]
    with Outputs(output_files, shown, EVALUATION_FORMATS) as outputs:
        segments = None if segments_file is None else read_segment_labels(segments_file)
        if scores_file is not None:
            scores = _read_scores(manifest, scores_file, higher_is_bonafide)
            trained_on = bundled_trained_on_sha256(scores.system.sha256)
        else:
            limits = DecodeLimits(timeout_s=timeout_s, max_duration_s=max_duration_s)
            scorer = load_scorer(detector, model_folder)
            scores = _score(manifest, scorer, policy, limits, jobs or default_jobs(), watched)
            trained_on = trained_on_sha256(scorer.model.card)
        evaluation = measure(
            manifest, scores, policy, plan, segments=segments, trained_on_sha256=trained_on,
            progress=_report if watched else silent,
        )  # fmt: skip
        outputs.write_all([evaluation])
    unscored = evaluation.clips.unscored_bonafide + evaluation.clips.unscored_spoof
    click.get_current_context().exit(EXIT_NOT_ANALYSABLE if unscored else 0)


def _check_choice(
    detector: str | None, model_folder: Path | None, scores_file: Path | None, higher_is_bonafide: bool
) -> None:
    has_detector = detector is not None or model_folder is not None
    if has_detector == (scores_file is not None):
        raise UsageError("give --detector (or --model) to score the clips, or --scores with their scores: one of them")
    if higher_is_bonafide and (scores_file is None or not is_csv(scores_file)):
        raise UsageError("--higher-is-bonafide is for the scores of a CSV; a scan's are higher for synthetic speech")


def _read_scores(manifest: Path, path: Path, higher_is_bonafide: bool) -> ScoreSet:
    clips = read_labelled(manifest)
    if is_csv(path):
        return scores_from_csv(manifest, clips, path, higher_is_bonafide=higher_is_bonafide)
    return scores_from_records(manifest, clips, read_records(path))


def _score(manifest: Path, scorer: Scorer, policy: Policy, limits: DecodeLimits, jobs: int, watched: bool) -> ScoreSet:
    clips = read_labelled(manifest)
    records = scan_clips(manifest, clips, scorer, policy, limits, jobs)
    shown = with_progress(records, len(clips), "scoring") if watched else records
    return with_records(manifest, clips, {clip.row.clip_id: record for clip, record in zip(clips, shown, strict=True)})


def _report(done: int, total: int | None, note: str = "") -> None:
    click.echo(f"{note} ({done}/{total})", err=True)
