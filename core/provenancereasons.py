"""Codes about where a sound comes from: credentials and waveform marks, alone and against other evidence."""

from .reason import Reason

PROVENANCE_REASONS: tuple[Reason, ...] = (
    # --- what credentials and waveform marks say ------------------------------------------------------
    Reason(
        "trusted_generated",
        "Credentials that hold, of a signer on a trust list that you gave, say that a machine made this sound.",
        "This is the signer's word about these very bytes. Read who signed, and whose list vouches for them.",
    ),
    Reason(
        "claimed_generated",
        "Credentials that hold say that a machine made this sound, but no trust list that you gave vouches for the "
        "signer.",
        "Anyone can sign such a statement over any recording. Find out who holds the certificate.",
    ),
    Reason(
        "captured_but_artifacts",
        "A contradiction: credentials of a signer that you trust say that this was recorded, and the detector's score "
        "is that of generated speech.",
        "One of them is wrong, or generated speech was played to a recorder. Ask the signer how the recording was "
        "made; have a specialist listen to the segments that carry the score.",
    ),
    Reason(
        "captured_but_marked",
        "A contradiction: credentials of a signer that you trust say that this was recorded, and the sound carries a "
        "mark that generators put on.",
        "Marked speech that is played to a recorder keeps its mark, and a keyless mark can be laid on any recording. "
        "Look at the spans of the mark, and ask the signer how the recording was made.",
    ),
    Reason(
        "named_mark_absent",
        "The credentials name a token mark of one of the keys that were tested, and that mark is not in the sound.",
        "The sound may be too short or too damaged for its mark, or the credentials describe another sound. Verify a "
        "better copy; ask the signer.",
    ),
    Reason(
        "issued_waveform_mark",
        "The sound carries a waveform mark with a message that was issued here.",
        "Look the message up in your register: it says when it was issued. `covoguard mark` marks recordings as well "
        "as generated speech, so only a policy of yours can make this decide.",
    ),
    Reason(
        "waveform_mark",
        "The sound carries a waveform mark.",
        "Some generators put such marks on by default; where the mark is keyless, anyone can lay it on a real "
        "recording too. Its limits stand with the finding.",
    ),
    Reason(
        "weak_waveform_mark",
        "There are signs of a waveform mark, but too weak to act on.",
        "Seek an earlier, less processed copy. In a large collection some such files are chance.",
    ),
    # --- waveform marks: why one was not looked for, or is not certain --------------------------------
    Reason(
        "mark_not_installed",
        "What finds this waveform mark is not installed, or cannot run.",
        "Read the detail of the finding: it names what is missing and how to get it.",
    ),
    Reason(
        "no_checkpoint",
        "This waveform mark is found with a checkpoint that you must bring, and none was given.",
        "Name the file and its SHA-256, from a source that you trust.",
    ),
    Reason(
        "no_mark_key",
        "This waveform mark is keyed, and no key was given.",
        "Name the key file with which your recordings were marked.",
    ),
    Reason(
        "no_issued_messages",
        "No message was ever issued here for this waveform mark, so no candidate could be told from chance.",
        "Look on the machine that marked the recordings, or point $COVOGUARD_DATA to its register.",
    ),
    Reason(
        "mark_not_measured",
        "The detector of this waveform mark hears it, but how often it does so without one was never measured, and no "
        "issued message confirms it.",
        "Treat it as a hint. Seek the register of whoever may have marked the recording.",
    ),
    Reason(
        "mark_at_other_speed",
        "The waveform mark is heard only when the recording is taken to have been played too fast or too slow, and so "
        "many speeds were tried that unmarked sound reaches such scores too.",
        "Treat it as a hint. Find a copy at the original speed.",
    ),
    Reason(
        "mark_failed",
        "What puts on or finds this waveform mark failed on this sound.",
        "Read the detail of the finding. Nothing is known about the mark.",
    ),
    Reason(
        "not_mono",
        "A waveform mark is looked for in one channel.",
        "Mix the channels to one, as covoguard's own reader does.",
    ),
    Reason(
        "not_finite",
        "Samples of the sound are NaN or infinite.",
        "Export the recording again.",
    ),
    # --- Content Credentials ------------------------------------------------------------------------
    Reason(
        "credentials_trusted",
        "The file is byte for byte what was signed, and a trust list that you gave vouches for the signer.",
        "Read what the signer asserts, and whose list vouches: credentials say who speaks, not that it is true.",
    ),
    Reason(
        "credentials_untrusted",
        "The file is byte for byte what was signed, but no trust list that you gave vouches for the signer.",
        "Anyone can sign under any name. Find out who holds the certificate, and only then add it with --trust.",
    ),
    Reason(
        "credentials_expired",
        "The file is byte for byte what was signed, but the signer's certificate has run out since, or was never in "
        "force, and no trusted timestamp says when the signing took place.",
        "This is no sign of tampering. Ask the signer whether they signed it while the certificate was in force.",
    ),
    Reason(
        "credentials_changed",
        "The file has credentials, but its bytes are not those that were signed.",
        "It was changed after the signing, by an edit or by a tool that rewrites files; obtain it from the signer.",
    ),
    Reason(
        "credentials_altered",
        "The credentials themselves do not hold: a statement, a signature or the certificate is not what it should be.",
        "Believe nothing that they say. The record lists C2PA's own codes of what failed.",
    ),
    Reason(
        "credentials_absent",
        "The file has no Content Credentials, inside or beside it.",
        "This is the normal state: most recorders write none, and most platforms remove them. It says nothing.",
    ),
    Reason(
        "credentials_remote",
        "The file only names a place on the network where its credentials are; nothing was fetched.",
        "With --online they are fetched, which tells that server that somebody looks at this file.",
    ),
    Reason(
        "credentials_unreadable",
        "The file or its sidecar is too damaged, or of no known kind, so whether it has credentials cannot be told.",
        "Obtain it again. This is not the same as having none.",
    ),
    Reason(
        "credentials_recovered",
        "The file lost its credentials, but a mark in its sound leads to a manifest in the local registry.",
        "The bytes differ from the signed ones, as in every copy whose credentials were removed: no sign of tampering.",
    ),
    Reason(
        "credentials_unresolved",
        "The mark in the sound leads to several manifests of the local registry; nothing tells which is this file's.",
        "All of them were signed under this mark: look in the registry's clips for the one that sounds the same.",
    ),
    Reason(
        "credentials_not_checked",
        "Content Credentials were not looked for, since the package that reads them is not installed.",
        "Run `pip install 'covoguard[credentials]'`.",
    ),
    Reason(
        "already_signed",
        "The file has Content Credentials already; signing it again would drop them.",
        "Keep it as it is, or sign the file from which it was made.",
    ),
    Reason(
        "signing_failed",
        "The signer refused or failed, so the file has no credentials; its sound is whole.",
        "Read the message; check certificate, key and token, and run `covoguard sign` on the file.",
    ),
    Reason(
        "output_exists",
        "A file of the output's name is there already, and nothing is overwritten.",
        "Name another folder with -o, or move the file away.",
    ),
)
