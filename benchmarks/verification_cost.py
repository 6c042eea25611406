"""What checking costs: detector, evidence and fusion per claim, beside asking the VLM.

    python -m benchmarks.verification_cost [--device cuda --true-size]

Published for the base method: checking adds 46 % to the time per image at one claim per image. Here
at 1, 5, 20 and 50 claims per image, as a share of a plain transformers loop over the claims and as
a share of our own asking, measured in turns in one process as `benchmarks/querying.py` does.

Weights are random in the shapes of BLIP-2 OPT-2.7B and GroundingDINO (Swin-T, 900 queries, 800 px
shorter side), all at their true widths. Without --true-size BLIP-2 has a quarter of its depth, to
fit in memory, and its times are multiplied by 4. The loop's time per claim is that of at most five
claims. Every detector box is kept (random scores mean nothing), which makes the table of boxes as
long as it can be.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import SwinConfig

from benchmarks.querying import COUNTS, blip2_shaped, clock, loop, questions
from spatialtrust.backends import asking
from spatialtrust.backends.base import Options
from spatialtrust.backends.registry import open_asker, open_detector
from spatialtrust.claims.grounding import ground
from spatialtrust.decision.verdicts import conclude
from spatialtrust.evidence.from_answers import assertions
from spatialtrust.evidence.gathering import gather
from spatialtrust.fusion.model import TrustModel
from spatialtrust.tables import Answers, Claims, Images
from tests.backends import tiny

STEPS = ("detect", "gather", "fuse_and_decide")
IMAGES = {1: 2, 5: 1, 20: 1, 50: 1}
LOOPED = 5


def detector_shaped(folder: Path) -> Path:
    """GroundingDINO with Swin-T."""
    return tiny.grounding_dino(
        folder,
        backbone_config=SwinConfig(
            image_size=384,
            embed_dim=96,
            depths=[2, 2, 6, 2],
            num_heads=[3, 6, 12, 24],
            window_size=7,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config={
            "model_type": "bert",
            "vocab_size": 1200,
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
        },
        d_model=256,
        encoder_layers=6,
        decoder_layers=6,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        num_queries=900,
        num_feature_levels=4,
        max_text_len=256,
        encoder_n_points=4,
        decoder_n_points=4,
        size={"shortest_edge": 800, "longest_edge": 1333},
    )


class Check:
    """Detector, evidence, fusion and decision, each timed."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.detector = open_detector(f"grounding-dino:{folder}", options)
        self.model = TrustModel.load("vsr-boxes")
        self.rule = self.model.rule(min_confidence=0.8)
        self.device = torch.device(options.device)

    def run(
        self, images: dict[str, np.ndarray], claims: Claims, answers: Answers
    ) -> dict[str, float]:
        """Seconds per step."""
        said = zip(
            claims.strings("image_id"), claims.strings("subject"), claims.strings("object"),
            strict=True,
        )  # fmt: skip
        phrases: dict[str, dict[str, None]] = {name: {} for name in images}
        for image_id, subject, object_ in said:
            phrases[str(image_id)] |= {str(subject): None, str(object_): None}
        sizes = Images.from_rows(
            {"image_id": name, "width": pixels.shape[1], "height": pixels.shape[0]}
            for name, pixels in images.items()
        )
        marks = [clock(self.device)]
        found = self.detector.detect(images, {name: list(said) for name, said in phrases.items()})
        marks.append(clock(self.device))
        evidence = gather(claims, ground(claims, found, sizes), answers)
        marks.append(clock(self.device))
        fused = self.model.predict(evidence)
        conclude(claims, fused, self.rule, assertions(claims, answers))
        marks.append(clock(self.device))
        return dict(zip(STEPS, np.diff(marks).tolist(), strict=True))


def measure(asker: Any, check: Check, repeats: int, depths: int) -> list[dict[str, Any]]:
    rows = []
    generator = np.random.default_rng(0)
    reader = asker.reader
    for count in COUNTS:
        images = {
            f"{place}.png": generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            for place in range(IMAGES[count])
        }
        claims = questions(count, len(images))
        pixels = {
            name: reader.processor(images=image, return_tensors="pt")["pixel_values"].to(
                reader.device, reader.dtype
            )
            for name, image in images.items()
        }
        best = dict.fromkeys(("loop", "ask", *STEPS), np.inf)
        for repeat in range(repeats + 1):
            start = clock(reader.device)
            some = claims.take(np.arange(min(LOOPED if repeat else 1, len(claims))))
            loop(asker, pixels, some)
            looped = (clock(reader.device) - start) * len(claims) / len(some)
            asker._memory = asking.Memory()
            start = clock(reader.device)
            answers = asker.ask(images, claims)
            asked = clock(reader.device) - start
            steps = check.run(images, claims, answers)
            if repeat:
                seconds = {"loop": depths * looped, "ask": depths * asked, **steps}
                best = {name: min(best[name], value) for name, value in seconds.items()}
        per_claim = {name: 1e3 * value / len(claims) for name, value in best.items()}
        checking = sum(per_claim[name] for name in STEPS)
        rows.append(
            {
                "claims_per_image": count,
                **{f"{name}_ms_per_claim": value for name, value in per_claim.items()},
                "check_ms_per_claim": checking,
                "share_of_loop": checking / per_claim["loop"],
                "share_of_ask": checking / per_claim["ask"],
            }
        )
        print_row(rows[-1])
    return rows


def print_row(row: dict[str, Any]) -> None:
    steps = "  ".join(f"{name} {row[f'{name}_ms_per_claim']:7.2f}" for name in STEPS)
    print(
        f"{row['claims_per_image']:3} claims/image  ms per claim: "
        f"loop {row['loop_ms_per_claim']:8.2f}  ask {row['ask_ms_per_claim']:8.2f}  {steps}  "
        f"checking is {100 * row['share_of_loop']:5.1f} % of the loop, "
        f"{100 * row['share_of_ask']:6.1f} % of asking",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", help="of the VLM; the detector is float32")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--true-size", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    depths = 1 if given.true_size else 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asker = open_asker(
            f"blip2:{blip2_shaped(folder / 'blip2', widths=1, depths=depths)}",
            Options(device=given.device, dtype=given.dtype),
        )
        check = Check(
            detector_shaped(folder / "detector"),
            Options(device=given.device, dtype="float32", score_threshold=0.0),
        )
        rows = measure(asker, check, given.repeats, depths)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
