"""Importing `chain-vector/1` into the project's own format; nothing that both formats hold is lost."""

from __future__ import annotations

from pathlib import Path

from kroma_core.recording.chain_vector import VectorRecording
from kroma_core.recording.problems import refuse
from kroma_core.recording.writer import RecordingWriter


def import_vector(source: Path | str, destination: Path | str, *, overwrite: bool = False) -> Path:
    """Write the recording `destination` from a chain vector. Blocks and blobs are checked on the way.

    Raises `RecordingError`; then there is no file at `destination`.
    """
    path = Path(destination)
    with VectorRecording(Path(source)) as vector:
        writer = RecordingWriter(
            path,
            rollup_config=vector.rollup_config,
            l1_chain_config=vector.l1_chain_config,
            l2_genesis=vector.l2_genesis,
            about=vector.about,
            overwrite=overwrite,
        )
        with writer:
            for link in vector.links():
                header = vector.header(link.hash) or b""
                writer.add_block(header, vector.transactions(link.hash) or (), vector.receipts(link.hash) or ())
            for versioned_hash in vector.blob_hashes():
                blob = vector.blob(versioned_hash)
                if blob is not None and (got := writer.add_blob(blob.data)) != versioned_hash:
                    part = f"blob 0x{versioned_hash.hex()}"
                    raise refuse(vector.path, part, "versioned hash", expected=versioned_hash, got=got)
            for index in range(vector.step_count):
                writer.add_step(vector.step(index))
            if vector.expected is not None:
                for block in vector.expected.block_objects():
                    writer.add_expected_block(block)
                for safe in vector.expected.all_safe_after():
                    writer.add_safe_after(safe)
                for output in vector.expected.output_objects():
                    writer.add_output(output)
            writer.finish()
    return path
