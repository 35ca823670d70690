import cv2
from says import says

from facerec.commands.main import main


def test_the_sheet_is_written_into_a_new_folder(tmp_path):
    assert main(["plot_synthetic", str(tmp_path / "new" / "sheet.png")]) == 0
    height, width, _ = cv2.imread(str(tmp_path / "new" / "sheet.png")).shape
    assert height == width >= 8 * 32
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]


def test_a_file_of_no_image_is_refused_and_help_is_no_file(tmp_path, capsys):
    for name in ("sheet", "sheet.xyz"):
        assert main(["plot_synthetic", str(tmp_path / name)]) == 1
        assert says(capsys.readouterr().err, name, ".png")
    assert main(["plot_synthetic", "--help"]) == 0 and says(capsys.readouterr().out, "out=", "required")
    assert not list(tmp_path.iterdir())
