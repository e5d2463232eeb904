"""The contract of every reader of a public corpus, on tiny made-up trees, and the traps of each."""

import dataclasses
import re
import shutil

import pytest
from corpus_trees import COMMON_VOICE_HEADER, MLAAD_HEADER, TREES, write

from covoguard.core.errors import InputError, UsageError
from covoguard.datasets.corpora import CORPORA, Counts, describe
from covoguard.datasets.corpora.csv_file import Columns, CsvCorpus
from covoguard.datasets.corpora.folder import FolderCorpus
from covoguard.datasets.corpora.inventory import PartCheck

OWN = ("csv", "folder")
LISTS = [(name, path) for name, tree in TREES.items() for path in tree.lists]


@dataclasses.dataclass(frozen=True)
class Made:
    """One corpus on the disk, with its reader."""

    name: str
    root: object
    corpus: object

    @property
    def tree(self):
        return TREES[self.name]

    def rows(self, part=None):
        return list(self.corpus.rows(self.root, part))


def make(name, root):
    TREES[name].make(root)
    return Made(name, root, TREES[name].corpus(name))


@pytest.fixture(params=sorted(TREES))
def made(request, tmp_path):
    return make(request.param, tmp_path / "corpus")


def counted(rows):
    return sum(row.label == "bonafide" for row in rows), sum(row.label == "spoof" for row in rows)


# --- the contract ------------------------------------------------------------------------------------------


def test_there_is_a_tree_for_every_corpus():
    assert CORPORA.names() == sorted(TREES)


def test_the_table_of_corpora_has_a_whole_line_for_each():
    described = {line.name: line for line in describe()}
    assert sorted(described) == CORPORA.names()
    for name, line in described.items():
        assert line.title
        assert line.what
        assert line.licence
        assert name in OWN or (line.home.startswith("https://") and 2010 < line.year < 2027)


@pytest.mark.parametrize("name", sorted(TREES))
def test_a_reader_says_what_it_reads_and_from_where_it_knows(name):
    corpus = CORPORA.get(name)
    assert "Layout:" in corpus.__doc__
    assert "Source:" in corpus.__doc__
    assert name in OWN or str(corpus.facts.year)[:2] == "20"
    for counts in corpus.published.values():
        assert counts.utterances in (None, (counts.bonafide or 0) + (counts.spoof or 0))
    assert corpus.published.keys() <= set(corpus.parts)


def test_every_part_gives_its_clips_with_their_labels(made):
    assert {part: counted(made.rows(part)) for part in made.tree.labels} == made.tree.labels
    assert len(made.rows()) == made.tree.all_clips


def test_rows_point_to_files_and_say_what_made_each_spoof(made):
    rows = made.rows()
    assert (rows[0].clip_id, rows[0].path) == made.tree.first
    assert len({row.clip_id for row in rows}) == len(rows)
    for row in rows:
        assert (made.root / row.path).is_file()
        assert row.source or made.name == "csv"
        assert row.licence or made.name in OWN
        if row.label == "bonafide":
            assert (row.generator, row.family, row.kind) == (None, None, None)
        assert row.split in (None, "train", "dev", "eval")


def test_reading_again_gives_the_same(made):
    assert list(made.corpus.clips(made.root)) == list(made.corpus.clips(made.root))


def test_the_check_finds_nothing_wrong_but_the_size(made):
    check = made.corpus.check(made.root)
    assert (check.missing, check.unlisted) == ((), ())
    assert {part.part: (part.listed.bonafide, part.listed.spoof) for part in check.parts} == made.tree.labels
    assert set(check.absent_parts) == set(made.corpus.parts) - set(made.tree.labels)
    assert check.is_whole == (not made.corpus.published)


def test_the_check_reports_a_file_that_is_gone_and_one_that_no_list_names(made):
    before = {row.path for part in made.tree.labels for row in made.rows(part)}
    gone = made.tree.first[1]
    (made.root / gone).unlink()
    new = (made.root / gone).parent / "of_another.ogg"
    new.touch()
    check = made.corpus.check(made.root)
    if made.tree.lists:
        assert check.missing == (gone,)
        assert check.unlisted == (new.relative_to(made.root).as_posix(),)
        assert not check.is_whole
        assert gone in {row.path for row in made.rows()}, "a list is read as it stands"
    else:  # what is there is what there is
        assert check.missing == ()
        after = {row.path for row in made.rows()}
        assert gone in before
        assert gone not in after


def test_another_folder_is_refused_with_what_is_missing(tmp_path, made):
    (tmp_path / "other").mkdir()
    with pytest.raises((UsageError, InputError), match="other"):
        list(made.corpus.rows(tmp_path / "other"))
    with pytest.raises(InputError, match="no such folder"):
        made.corpus.find(tmp_path / "nowhere")


def test_an_unknown_part_is_refused_with_the_known_ones(made):
    with pytest.raises(UsageError, match=f"'holiday'.*{next(iter(made.tree.labels))}"):
        made.corpus.rows(made.root, "holiday")


@pytest.mark.parametrize("name", [name for name, tree in TREES.items() if tree.nested])
def test_the_folder_above_will_do_and_paths_begin_there(name, tmp_path):
    plain = make(name, tmp_path / "plain").rows()
    nested = make(name, tmp_path / "above" / TREES[name].nested)
    rows = list(nested.corpus.rows(tmp_path / "above"))
    assert [row.path for row in rows] == [f"{TREES[name].nested}/{row.path}" for row in plain]
    assert [row.clip_id for row in rows] == [row.clip_id for row in plain]


@pytest.mark.parametrize(("name", "path"), LISTS)
def test_a_malformed_line_is_named_by_file_and_number(name, path, tmp_path):
    made = make(name, tmp_path)
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write("torn")
    number = len((tmp_path / path).read_text(encoding="utf-8").splitlines())
    with pytest.raises(InputError, match=rf"{re.escape(path.rsplit('/', 1)[-1])}, line {number}: "):
        made.rows()


@pytest.mark.parametrize(("name", "path"), LISTS)
def test_a_clip_that_is_listed_twice_is_named(name, path, tmp_path):
    made = make(name, tmp_path)
    text = (tmp_path / path).read_text(encoding="utf-8")
    write(tmp_path / path, text + text.splitlines(keepends=True)[-1])
    with pytest.raises(InputError, match="listed twice"):
        made.rows()


@pytest.mark.parametrize(("name", "path"), LISTS)
def test_a_list_that_is_no_text_is_refused(name, path, tmp_path):
    made = make(name, tmp_path)
    (tmp_path / path).write_bytes(b"\xff\xfe\x00nonsense\x80")
    with pytest.raises(InputError, match="cannot be read"):
        made.rows()


# --- one corpus each ---------------------------------------------------------------------------------------


def test_2019_attacks_have_families_that_join_known_and_unknown_ones(tmp_path):
    rows = {row.generator: row for row in make("asvspoof2019-la", tmp_path).rows() if row.label == "spoof"}
    assert rows["ASVspoof2019-A04"].family == rows["ASVspoof2019-A16"].family == "Unit selection"
    assert rows["ASVspoof2019-A06"].family == rows["ASVspoof2019-A19"].family
    assert [rows[f"ASVspoof2019-{attack}"].kind for attack in ("A04", "A06", "A11")] == ["tts", "vc", "tts"]
    assert rows["ASVspoof2019-A16"].split == "eval"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("LA_0079 LA_T_1 - - spoof", "does not go with"),
        ("LA_0079 LA_T_1 - A04 bonafide", "does not go with"),
        ("LA_0079 LA_T_1 - A20 spoof", "no attack"),
        ("LA_0079 LA_T_1 - A04 fraud", "label 'fraud'"),
        ("LA_0079 LA_T_1 A04 spoof", "4 columns"),
        ("LA_0079 ../../secret - - bonafide", "no path within"),
    ],
)
def test_2019_lines_are_read_strictly(tmp_path, line, reason):
    made = make("asvspoof2019-la", tmp_path)
    protocol = tmp_path / "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt"
    write(protocol, f"LA_0079 LA_T_1138215 - - bonafide\n{line}\n")
    with pytest.raises(InputError, match=f"train.trn.txt, line 2: .*{reason}"):
        made.rows("train")


def test_a_part_without_its_audio_is_absent_and_says_why(tmp_path):
    made = make("asvspoof2019-la", tmp_path)
    shutil.rmtree(tmp_path / "ASVspoof2019_LA_eval")
    assert counted(made.rows()) == (2, 2)
    assert made.corpus.check(tmp_path).absent_parts == ("eval",)
    with pytest.raises(UsageError, match="ASVspoof2019_LA_eval/flac missing"):
        made.corpus.rows(tmp_path, "eval")


def test_2021_keeps_the_attack_names_of_2019_and_the_channel(tmp_path):
    made = make("asvspoof2021-la", tmp_path)
    clips = {clip.row.clip_id: clip for clip in made.corpus.clips(tmp_path)}
    assert clips["LA_E_1000381"].row.generator == "ASVspoof2019-A16"
    assert clips["LA_E_1000381"].row.family == "Unit selection"
    assert clips["LA_E_9332881"].channel == "alaw ita_tx"
    assert {clip.row.split for clip in clips.values()} == {"eval"}


def test_2021_keys_may_lie_in_the_folder_of_their_archive(tmp_path):
    made = make("asvspoof2021-la", tmp_path)
    (tmp_path / "LA-keys-full").mkdir()
    (tmp_path / "keys").rename(tmp_path / "LA-keys-full/keys")
    assert len(made.rows()) == 4


def test_2021_without_keys_says_that_they_are_missing(tmp_path):
    made = make("asvspoof2021-df", tmp_path)
    shutil.rmtree(tmp_path / "keys")
    with pytest.raises(UsageError, match=r"keys/DF/CM/trial_metadata\.txt missing"):
        made.rows()


def test_2021_df_names_the_systems_of_the_conversion_challenges(tmp_path):
    rows = {row.clip_id: row for row in make("asvspoof2021-df", tmp_path).rows()}
    assert (rows["DF_E_2000013"].generator, rows["DF_E_2000013"].kind) == ("VCC2020-Task1-team20", "vc")
    assert {row.source for row in rows.values()} == {"VCTK", "VCC2018", "VCC2020"}


def test_asvspoof5_bona_fide_clips_through_a_neural_codec_can_be_told(tmp_path):
    clips = {clip.row.clip_id: clip for clip in make("asvspoof5", tmp_path).corpus.clips(tmp_path)}
    assert (clips["E_0000000035"].row.label, clips["E_0000000035"].channel) == ("bonafide", "C04 2")
    assert clips["T_0000000000"].channel is None
    assert clips["E_0000000024"].row.family == clips["D_0000000022"].row.family == "YourTTS"


def test_the_same_attack_number_is_another_generator_in_another_corpus(tmp_path):
    older = {row.generator for row in make("asvspoof2019-la", tmp_path / "a").rows()} - {None}
    newer = {row.generator for row in make("asvspoof5", tmp_path / "b").rows()} - {None}
    assert older.isdisjoint(newer)


def test_mlaad_takes_language_and_text_and_no_quotation_mark_joins_lines(tmp_path):
    made = make("mlaad", tmp_path)
    clips = list(made.corpus.clips(tmp_path, "en"))
    assert [(clip.row.generator, clip.row.family, clip.language) for clip in clips] == [
        ("bark", "Bark", "en"),
        ("xtts", "XTTS", "en"),
    ]
    assert clips[0].text == '"Go, he said.'


def test_mlaad_refuses_paths_that_leave_the_corpus(tmp_path):
    made = make("mlaad", tmp_path)
    write(tmp_path / "fake/en/bark/meta.csv", MLAAD_HEADER + "../../../etc/passwd|x|en|True|1|n/a|bark|Bark|x\n")
    with pytest.raises(InputError, match=r"line 2: .*no path within"):
        made.rows("en")


def test_wavefake_reads_no_clip_of_the_second_copy(tmp_path):
    made = make("wavefake", tmp_path)
    folder = "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech"
    write(tmp_path / folder / "generated/gen_0.wav")
    assert counted(made.rows(folder)) == (0, 1)
    assert made.corpus.check(tmp_path).unlisted == (f"{folder}/generated/gen_0.wav",)
    assert {row.speaker for row in made.rows()} == {"LJ", "JSUT"}


def test_fake_or_real_reads_one_version_at_a_time(tmp_path):
    made = make("fake-or-real", tmp_path / "for-norm" / "for-norm")
    assert len(list(made.corpus.rows(tmp_path))) == 9
    make("fake-or-real", tmp_path / "for-2sec" / "for-2seconds")
    with pytest.raises(UsageError, match=r"for-2sec/for-2seconds, for-norm/for-norm"):
        made.corpus.rows(tmp_path)


def test_spoofceleb_with_short_names_reads_the_same(tmp_path):
    made = make("spoofceleb", tmp_path)
    before = [(row.label, row.speaker) for row in made.rows("eval")]
    (tmp_path / "metadata/evaluation.csv").rename(tmp_path / "metadata/eval.csv")
    (tmp_path / "flac/evaluation").rename(tmp_path / "flac/eval")
    assert (
        [(row.label, row.speaker) for row in made.rows("eval")]
        == before
        == [
            ("bonafide", "id11178"),
            ("spoof", "id11178"),
        ]
    )


def test_librispeech_has_texts_and_takes_no_libritts(tmp_path):
    made = make("librispeech", tmp_path)
    clip = next(made.corpus.clips(tmp_path, "dev-clean"))
    assert (clip.text, clip.row.speaker, clip.row.split) == ("GO, DO YOU HEAR", "libri_84", "dev")
    write(tmp_path / "test-clean/61/70968/61_70968.trans.tsv", "61_70968_000000\tA\tA\n")
    with pytest.raises(InputError, match=r"61-70968.trans.txt: missing"):
        made.rows("test-clean")


def test_vctk_clips_without_text_are_read_and_microphones_are_not_mixed(tmp_path):
    clips = {clip.row.clip_id: clip for clip in make("vctk", tmp_path).corpus.clips(tmp_path)}
    assert clips["p315_001_mic1"].text is None
    assert clips["p225_001_mic1"].text == "Please call Stella."
    assert {clip.channel for clip in clips.values()} == {"mic1"}


def test_ljspeech_quotation_marks_are_characters(tmp_path):
    clips = list(make("ljspeech", tmp_path).corpus.clips(tmp_path))
    assert [clip.text for clip in clips] == ['"Printing, in the fifteenth century', "in being"]


def test_common_voice_gives_validated_clips_their_splits(tmp_path):
    made = make("common-voice", tmp_path)
    assert [row.split for row in made.rows()] == ["train", "dev", "eval", None]
    assert [row.split for row in made.rows("other")] == [None]
    assert next(made.corpus.clips(tmp_path)).language == "de"


def test_common_voice_wants_one_language_at_a_time(tmp_path):
    made = make("common-voice", tmp_path / "de")
    make("common-voice", tmp_path / "fr")
    with pytest.raises(UsageError, match="languages de, fr"):
        made.corpus.rows(tmp_path)


def test_common_voice_with_parts_alone_asks_which(tmp_path):
    made = make("common-voice", tmp_path)
    (tmp_path / "validated.tsv").unlink()
    with pytest.raises(UsageError, match="name one of train, dev"):
        made.corpus.rows(tmp_path)
    write(tmp_path / "train.tsv", COMMON_VOICE_HEADER)
    with pytest.raises(InputError, match="holds no clip"):
        made.rows("train")


def test_a_folder_needs_a_label_and_tells_clips_of_one_stem_apart(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "a.flac")
    write(tmp_path / "._a.wav")
    assert [row.clip_id for row in FolderCorpus("bonafide").rows(tmp_path)] == ["a.flac", "a.wav"]
    with pytest.raises(UsageError, match="bonafide or spoof"):
        FolderCorpus()
    with pytest.raises(UsageError, match="no generator"):
        FolderCorpus("bonafide", generator="VITS")


def test_a_csv_with_numbers_for_labels_has_to_be_mapped(tmp_path):
    write(tmp_path / "list.csv", "path;label\na.wav;1\nb.wav;0\n")
    with pytest.raises(InputError, match=r"list.csv, line 2: label '1' is not one of"):
        list(CsvCorpus(delimiter=";").rows(tmp_path))
    mapped = CsvCorpus(delimiter=";", labels={"1": "bonafide", "0": "spoof"})
    assert [row.label for row in mapped.rows(tmp_path)] == ["bonafide", "spoof"]


def test_a_csv_is_named_where_there_are_two_and_its_columns_must_be_there(tmp_path):
    write(tmp_path / "a.csv", "path,label\na.wav,real\n")
    write(tmp_path / "b.csv", "path,label\nb.wav,fake\n")
    with pytest.raises(UsageError, match=r"a\.csv, b\.csv"):
        CsvCorpus().find(tmp_path)
    assert [row.path for row in CsvCorpus(file="b.csv").rows(tmp_path)] == ["b.wav"]
    with pytest.raises(InputError, match="no column voice in the header"):
        list(CsvCorpus(Columns(speaker="voice"), file="b.csv").rows(tmp_path))


def test_counts_that_differ_from_the_published_ones_are_told():
    part = PartCheck("eval", Counts(10, 4, 6, None), Counts(12, 4, None, 3))
    assert part.differences == ("10 utterances, published 12", "0 speakers, published 3")
    assert PartCheck("eval", Counts(10, 4, 6), None).differences == ()
