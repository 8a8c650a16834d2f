"""verl's own data set shows a trainer the very pixels that engines were given."""

import json
from pathlib import Path

import pytest

from capcurriculum.rows import bytes_digest
from curricula import images as stage_pictures
from datagen import micro, shown
from tests.support import odd_images
from tests.support.installed import needs
from tests.support.preflight_data import seeing, write
from tests.support.trainer_scripts import ran

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
needs("verl", extra="train")

#: The digests of the pictures that verl's data set gives to its rollouts, row by row.
SCRIPT = """
import json, sys
from omegaconf import OmegaConf
from capcurriculum.rows import bytes_digest
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
model, file = sys.argv[1:]
tokenizer, processor = hf_tokenizer(model), hf_processor(model)
patch = processor.image_processor.patch_size
config = {"filter_overlong_prompts": False, "image_key": "images", "truncation": "error", "image_patch_size": patch}
config = OmegaConf.create(config)
rows = RLHFDataset(file, tokenizer, config, processor)
seen = []
for number in range(len(rows)):
    messages = rows[number]["raw_prompt"]
    images, _, _ = RLHFDataset._process_multi_modal_info(messages, image_patch_size=patch, config=config)
    seen.append([images[0].mode, list(images[0].size), bytes_digest(images[0].tobytes())])
print(json.dumps(seen))
"""


@pytest.mark.parametrize("marked", [True, False], ids=["decoded by datasets", "as bytes"])
def test_every_odd_file_is_trained_on_as_it_was_asked_about(tmp_path: Path, marked: bool) -> None:
    rows, expected = [], []
    for number, (name, data, _) in enumerate(odd_images.every()):
        file = tmp_path / f"odd{number}"
        file.write_bytes(data)
        rows.append(seeing(number, stage_pictures.read(file).data))
        picture = shown.read(file)
        expected.append((name, [picture.mode, list(picture.size), bytes_digest(picture.tobytes())]))
    files = write(tmp_path, rows, marked=marked)
    seen = json.loads(ran(SCRIPT, micro.checkpoint("start"), files.train[0]).strip().splitlines()[-1])
    assert [(name, one) for (name, _), one in zip(expected, seen, strict=True)] == expected
