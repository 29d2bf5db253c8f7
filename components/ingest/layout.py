"""What an image's place in the source says of it: label, kind of defect, split, and where its mask lies.

Recognised: MVTec AD's layout (`train/good`, `test/<defect>`, `ground_truth/<defect>/<stem>[_mask].png`, Bergmann et al.
2019) at any depth, a normal-named folder (`good`, `normal`, `ok`) beside folders of defects, folders whose name says
what they hold, and flat folders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from components.core.contracts import Label, Split
from components.samples.images import IMAGE_SUFFIXES
from components.samples.labels import label_of_folder, split_of_word

MASK_FOLDERS = frozenset({"ground_truth", "groundtruth", "masks"})
LABELS_FILE = "labels.csv"


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is known of an image before it is read. `split` is None where the source leaves it open."""

    label: Label = Label.NORMAL
    label_source: str = "assumed"
    defect: str = ""
    split: Split | None = None
    group: str = ""
    problem: str = ""


class Layout:
    """The places of all keys of one source."""

    def __init__(self, keys: Sequence[str]) -> None:
        visible = [key for key in keys if not hidden(key)]
        pictures = [key for key in visible if PurePosixPath(key).suffix.lower() in IMAGE_SUFFIXES]
        self.images = [key for key in pictures if not is_mask(key)]
        self.skipped = len(keys) - len(pictures)
        self.labels_file = min(
            (key for key in visible if PurePosixPath(key).name.lower() == LABELS_FILE), key=_depth, default=""
        )
        self._masks = {_mask_key(key): key for key in pictures if is_mask(key)}
        self._folders = {str(folder) for key in self.images for folder in PurePosixPath(key).parents}
        self._beside_normal = {
            str(PurePosixPath(folder).parent)
            for folder in self._folders
            if label_of_folder(PurePosixPath(folder).name) is Label.NORMAL
        }

    def place(self, key: str) -> Place:
        """What the folders of `key` say; the deepest that says something counts."""
        folders = PurePosixPath(key).parent
        split = self._split(folders)
        for folder in (folders, *folders.parents):
            if folder.name and split_of_folder(folder.name) is None:
                label = label_of_folder(folder.name)
                if label is None and str(folder.parent) in self._beside_normal:
                    label = Label.ANOMALOUS
                if label is None and split is Split.TEST and folder == folders:
                    label = Label.ANOMALOUS  # a folder of MVTec's test that is not called good is a kind of defect
                if label is not None:
                    defect = folders.name if label is Label.ANOMALOUS else ""
                    return Place(label=label, label_source="folder", defect=defect, split=split)
        if split is Split.TEST:
            return Place(split=split, problem="A test image needs a folder that names its kind, or a labels file.")
        return Place(split=split)

    def mask(self, key: str) -> str:
        """Key of the ground truth of an image, or ""."""
        return self._masks.get(_mask_key(key), "")

    def _split(self, folders: PurePosixPath) -> Split | None:
        found = next((split for name in reversed(folders.parts) if (split := split_of_folder(name))), None)
        # A train folder is only a pool: calibration and validation are drawn from it.
        return None if found is Split.TRAIN else found


def split_of_folder(name: str) -> Split | None:
    """The split that a folder stands for: train, test, validation, and such as test_public."""
    return split_of_word(name.lower().removesuffix("_public"))


def hidden(key: str) -> bool:
    """Whether the file, or a folder it lies in, is one that systems keep beside the files of people."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(key).parts)


def is_mask(key: str) -> bool:
    """Whether an image lies in a folder of ground truth."""
    return any(part.lower() in MASK_FOLDERS for part in PurePosixPath(key).parts[:-1])


def _depth(key: str) -> tuple[int, str]:
    return len(PurePosixPath(key).parts), key


def _mask_key(key: str) -> tuple[str, ...]:
    """What an image and its mask share: the path without folders of splits and masks, without the mask's ending."""
    path = PurePosixPath(key)
    folders = [part for part in path.parts[:-1] if part.lower() not in MASK_FOLDERS and not split_of_folder(part)]
    return *folders, path.stem.removesuffix("_mask").removesuffix("_gt")
