"""Videos: any container in, H.264 with times and sound out, timelines, broken input, interruption."""

import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from gimefive_hf import EMOTIONS, from_pretrained
from gimefive_hf.cli import main
from gimefive_hf.explain import explain
from gimefive_hf.runtimes.backends import has_bf16
from gimefive_hf.runtimes.predictor import predict_and_explain_crops
from gimefive_hf.video.analysis import annotate_video, batched, leaving_a_core, prefetch, watch
from gimefive_hf.video.files import VideoFrame, VideoReader, VideoWriter
from gimefive_hf.video.overlay import draw_people
from gimefive_hf.video.timeline import timeline_figure
from tests.cases.video_cases import face_photo, moving_face, save_tiny, tiny_recognizer, write_clip

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Two swaying people, 24 frames of 320×240 with AAC sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(24, people=2), audio="aac")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"))


def read(path: Path) -> list[VideoFrame]:
    with VideoReader(path) as reader:
        return list(reader)


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(getattr(container.streams, kind)[0]) if packet.size]


def test_the_output_is_what_browsers_play_with_sound_and_times(tmp_path, fer, clip):
    output = tmp_path / "out.mp4"
    summary = annotate_video(fer, clip, output, explain="grad-cam", landmarks=True)
    assert (summary.frames, summary.analysed, summary.broken, summary.persons) == (24, 24, 0, 2)
    with av.open(str(output)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height) == (320, 240)
    data = output.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "faststart"
    np.testing.assert_allclose([f.time for f in read(output)], [f.time for f in read(clip)], atol=1e-4)
    assert packets(output, "audio") == packets(clip, "audio"), "the sound is copied, not encoded again"
    difference = np.abs(read(output)[10].image.astype(int) - read(clip)[10].image)
    assert difference.mean() > 5, "something is drawn"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("suffix", "codec", "audio"),
    [
        (".mov", "libx264", "aac"),
        (".webm", "libvpx-vp9", "libopus"),
        (".avi", "mpeg4", "pcm_s16le"),
        (".mkv", "mjpeg", "flac"),
        (".gif", "gif", None),
    ],
)
def test_containers(tmp_path, fer, suffix, codec, audio):
    frames = moving_face(8, 160, 120)
    source = write_clip(tmp_path / f"in{suffix}", frames, codec=codec, audio=audio)
    summary = annotate_video(fer, source, tmp_path / "out.mp4", tmp_path / "t.csv")
    assert summary.frames == 8
    result = read(tmp_path / "out.mp4")
    np.testing.assert_allclose([f.time for f in result], np.arange(8) / 25, atol=6e-3)  # gif counts in 1/100 s
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.audio) == (audio is not None)
        if audio is not None:
            sound = container.streams.audio[0]
            assert float(sound.duration * sound.time_base) == pytest.approx(8 / 25, abs=0.05)
            assert sound.codec_context.name == {"pcm_s16le": "aac", "libopus": "opus"}.get(audio, audio)


def test_variable_frame_rate_keeps_every_time(tmp_path, fer):
    times = [0, 0.04, 0.08, 0.5, 0.51, 0.52, 1.7, 1.75]
    source = write_clip(tmp_path / "vfr.mkv", moving_face(8, 160, 120), times=times)
    annotate_video(fer, source, tmp_path / "out.mp4", tmp_path / "t.csv")
    np.testing.assert_allclose([f.time for f in read(tmp_path / "out.mp4")], times, atol=1.1e-3)
    table = pd.read_csv(tmp_path / "t.csv")
    np.testing.assert_allclose(table.groupby("frame")["time"].first(), times, atol=1.1e-3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_phone_clips_come_upright(tmp_path, degrees):
    upright = moving_face(3, 320, 240)
    turned = [np.ascontiguousarray(np.rot90(frame, degrees // 90)) for frame in upright]
    source = write_clip(tmp_path / "phone.mp4", turned, rotation=degrees)
    with VideoReader(source) as reader:
        assert (reader.width, reader.height) == (320, 240)
        frames = list(reader)
    assert np.abs(frames[1].image.astype(int) - upright[1]).mean() < 6


def test_odd_sizes_and_extreme_rates(tmp_path, fer):
    frames = moving_face(6, 161, 121)
    for fps, codec in ((1, "mjpeg"), (240, "mjpeg")):
        source = write_clip(tmp_path / f"{fps}.mkv", frames, fps=fps, codec=codec)
        annotate_video(fer, source, tmp_path / "out.mp4")
        result = read(tmp_path / "out.mp4")
        assert result[0].image.shape == (122, 162, 3)
        # mkv counts in milliseconds
        np.testing.assert_allclose([f.time for f in result], np.arange(6) / fps, atol=1.1e-3)


@pytest.mark.slow  # two frames of 33 million pixels are decoded, drawn on and encoded
def test_8k_frames(tmp_path, fer):
    source = write_clip(tmp_path / "8k.mkv", moving_face(2, 7680, 4320), codec="mjpeg")
    summary = annotate_video(fer, source, tmp_path / "out.mp4", explain="grad-cam", landmarks=True)
    assert (summary.frames, summary.persons, summary.without_face) == (2, 1, 0)
    frames = read(tmp_path / "out.mp4")
    assert [frame.image.shape for frame in frames] == [(4320, 7680, 3)] * 2


def test_timeline_rows(tmp_path, fer, clip):
    annotate_video(fer, clip, timeline=tmp_path / "t.parquet", landmarks=True, smooth=0.3, centre=False)
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert len(table) == 48
    assert table.groupby("person")["frame"].apply(list).to_dict() == {1: list(range(24)), 2: list(range(24))}
    assert "landmark_y67" in table
    assert table["error"].isna().all()
    one = table[table["person"] == 1]
    # the first-order filter, by its formula
    value = one["happiness"].iloc[0]
    for previous, now, raw in zip(one["time"], one["time"][1:], one["happiness"][1:], strict=False):
        value += (1 - np.exp(-(now - previous) / 0.3)) * (raw - value)
    assert one["happiness_smooth"].iloc[-1] == pytest.approx(value, abs=1e-6)
    confidence = [row[f"{row['emotion']}_smooth"] for _, row in table.iterrows()]
    np.testing.assert_allclose(table["confidence"], confidence, atol=1e-6)
    inside = one["landmark_x30"].between(one["x"], one["x"] + one["width"])
    assert inside.all(), "the nose is in the box"


def test_smoothed_around_each_moment_unless_asked_otherwise(tmp_path, fer, clip):
    """The Gaussian mean by its formula, as wide as asked for; 0 leaves the scores alone."""
    annotate_video(fer, clip, timeline=tmp_path / "t.csv", smooth=0.1)
    one = pd.read_csv(tmp_path / "t.csv").query("person == 1")
    apart = (one["time"].to_numpy()[:, None] - one["time"].to_numpy()) / 0.1
    weights = np.exp(-(apart**2) / 2) * (np.abs(apart) <= 3)
    expected = weights @ one["happiness"].to_numpy() / weights.sum(axis=1)
    np.testing.assert_allclose(one["happiness_smooth"], expected, atol=1e-6)
    annotate_video(fer, clip, timeline=tmp_path / "raw.csv", smooth=0)
    raw = pd.read_csv(tmp_path / "raw.csv")
    np.testing.assert_allclose(raw["fear_smooth"], raw["fear"], atol=1e-6)


def test_a_file_that_is_cut_is_said_to_be(tmp_path, fer):
    example = ROOT / "spaces" / "demo" / "examples" / "changing_face.mp4"
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(example.read_bytes()[:100_000])
    summary = annotate_video(fer, cut, timeline=tmp_path / "t.csv", every=10)
    assert summary.is_cut and 0 < summary.frames < summary.announced == 275
    stopped = annotate_video(fer, example, timeline=tmp_path / "t.csv", every=10, max_seconds=0.2)
    assert not stopped.is_cut


def test_frames_without_a_face_are_counted(tmp_path, fer):
    frames = moving_face(4) + [np.full((240, 320, 3), 120, np.uint8)] * 4
    source = write_clip(tmp_path / "in.mp4", frames)
    summary = annotate_video(fer, source, timeline=tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv")
    assert summary.without_face == 4
    assert table["error"].tolist()[-4:] == ["no face"] * 4
    assert table["happiness"].isna().sum() == 4


def test_frames_between_repeat_the_last_result(tmp_path, fer, clip):
    with VideoReader(clip) as reader:
        results = list(watch(fer, reader, every=5))
    assert [r.analysed for r in results] == [index % 5 == 0 for index in range(24)]
    assert results[7].people == results[5].people
    assert [r.frame.index for r in results] == list(range(24))


def test_batches_change_nothing(fer):
    frames = [VideoFrame(i, i / 25, image) for i, image in enumerate(moving_face(10))]
    one = list(watch(fer, frames, batch_size=1, explain="grad-cam"))
    many = list(watch(fer, frames, batch_size=4, explain="grad-cam"))
    for a, b in zip(one, many, strict=True):
        assert a.people[0].face.box == b.people[0].face.box
        np.testing.assert_allclose(list(a.people[0].smoothed.values()), list(b.people[0].smoothed.values()), atol=1e-5)
        np.testing.assert_allclose(a.people[0].heat, b.people[0].heat, atol=1e-3)


@pytest.mark.parametrize("flip_average", [False, True])
@pytest.mark.parametrize("method", ["cam", "grad-cam"])
def test_scores_and_maps_of_one_pass_are_those_of_two(fer, method, flip_average):
    fer = tiny_recognizer()
    fer.model.config.flip_average = flip_average
    crops = [
        cv2.resize(face_photo()[40:200, 150:310], (60, 60)),
        np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8),
    ]
    scores, heat = predict_and_explain_crops(fer.predictor, crops, method)
    np.testing.assert_allclose(scores, fer.score_crops(crops), atol=1e-6)
    np.testing.assert_allclose(heat, explain(fer.model, fer.pixel_values(crops), method), atol=1e-4)


def test_videos_score_one_view_unless_asked(fer):
    fer = tiny_recognizer()
    fer.model.config.flip_average = True
    frames = [VideoFrame(0, 0.0, moving_face(1)[0])]
    [one] = watch(fer, frames, batch_size=1)
    [all_views] = watch(fer, frames, batch_size=1, average_views=True)
    crop = one.people[0].face.crop.image
    averaged = fer.score_crops([crop])[0]
    fer.model.config.flip_average = False
    single = fer.score_crops([crop])[0]
    assert np.abs(single - averaged).max() > 1e-4
    np.testing.assert_allclose(list(one.people[0].face.scores.values()), single, atol=1e-6)
    np.testing.assert_allclose(list(all_views.people[0].face.scores.values()), averaged, atol=1e-6)


def test_bf16_gives_the_scores_and_maps_of_fp32(bundled):
    """Where the processor has it, `auto` takes it; the difference must stay too small to be seen."""
    low = from_pretrained(precision="bf16")
    photo = face_photo()
    crops = [cv2.resize(photo[40 + i : 200 + i, 150 - i : 310 - i], (112, 112)) for i in range(0, 16, 2)]
    expected, heat = predict_and_explain_crops(bundled.predictor, crops, "grad-cam", average_views=False)
    scores, low_heat = predict_and_explain_crops(low.predictor, crops, "grad-cam", average_views=False)
    np.testing.assert_allclose(scores, expected, atol=0.02)
    assert (scores.argmax(1) == expected.argmax(1)).all()
    np.testing.assert_allclose(low_heat, heat, atol=0.06)
    auto = from_pretrained(precision="auto").model.dtype
    assert auto == (torch.bfloat16 if has_bf16() else torch.float32)


def test_torchs_threads_are_given_back(fer):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        items = leaving_a_core(range(3), fer.predictor)
        assert (next(items), torch.get_num_threads()) == (0, 2)
        items.close()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_forty_faces(fer):
    face = cv2.resize(face_photo()[20:230, 110:340], (100, 92))
    frame = np.vstack([np.hstack([face] * 8)] * 5)
    frames = [VideoFrame(index, index / 25, frame) for index in range(2)]
    results = list(watch(fer, frames, batch_size=1))
    assert len(results[0].people) >= 38
    assert {p.number for p in results[1].people} == {p.number for p in results[0].people}
    drawn = draw_people(frame, results[1].people)
    assert drawn.shape == frame.shape


def test_a_broken_frame_is_reported_and_passed(tmp_path, fer):
    source = write_clip(tmp_path / "in.avi", moving_face(10, 160, 120), codec="mjpeg")
    wanted = packets(source, "video")[4]
    source.write_bytes(source.read_bytes().replace(wanted, bytes(len(wanted)), 1))
    summary = annotate_video(fer, source, tmp_path / "out.mp4", tmp_path / "t.csv")
    assert summary.broken == 1
    assert "broken frame" in summary.errors[0]
    assert len(read(tmp_path / "out.mp4")) == 9
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["error"].dropna().str.contains("broken frame").sum() == 1


def test_a_file_cut_off_in_the_middle_gives_what_is_there(tmp_path, fer):
    source = write_clip(tmp_path / "in.mkv", moving_face(24, 160, 120), audio="aac")
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    summary = annotate_video(fer, source, tmp_path / "out.mp4")
    assert 5 < summary.frames < 24
    assert len(read(tmp_path / "out.mp4")) == summary.frames - summary.broken


def bad_inputs(folder: Path) -> dict[str, str]:
    """Name of a bad input → what the message must say."""
    (folder / "text.mp4").write_text("not a video\n" * 100)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "folder.mp4").mkdir()
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        for start in range(0, 9600, 960):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
            part.sample_rate, part.pts = 48000, start
            container.mux(stream.encode(part))
        container.mux(stream.encode())
    whole = write_clip(folder / "whole.mp4", moving_face(5, 160, 120)).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "whole.mp4").unlink()
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nother.ts\n")
    Image.fromarray(face_photo()).save(folder / "photo.png")
    return {
        "text.mp4": "not a video",
        "empty.mp4": "the file is empty",
        "folder.mp4": "is a folder",
        "sound.mp4": "has only sound",
        "cut.mp4": "not a video, or cut off",
        "list.mp4": "not a video",
        "photo.png": "not a video",
        "nowhere.mp4": "no such file",
    }


def test_bad_input_ends_with_code_2_and_leaves_nothing(tmp_path, model, capsys):
    for name, message in bad_inputs(tmp_path).items():
        before = sorted(tmp_path.iterdir())
        call = ["video", str(tmp_path / name), "-o", str(tmp_path / "out.mp4"), "--timeline", str(tmp_path / "t.csv")]
        assert main([*call, "--model", str(model)]) == 2, name
        text = capsys.readouterr().err
        assert f"{name}: " in text, text
        assert message in text, text
        assert sorted(tmp_path.iterdir()) == before, name


def test_bad_output_ends_with_code_2(tmp_path, clip, model, capsys, monkeypatch):
    cases = [
        ([], "nothing to write"),
        (["-o", "out.avi"], "must end in .mp4"),
        (["-o", "missing/out.mp4"], "does not exist"),
        (["--timeline", "t.csv", "--picture", "p.png"], "must end in .html"),
        (["-o", "out.mp4", "--every", "0"], "at least 1"),
        (["-o", str(clip)], "replace the input"),
    ]
    monkeypatch.chdir(tmp_path)
    for options, message in cases:
        assert main(["video", str(clip), "--model", str(model), *options]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root, no real folder refuses
    assert main(["video", str(clip), "--model", str(model), "-o", "out.mp4"]) == 2
    assert "no permission" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    if os.path.isdir("/proc"):  # it says that it may be written to, and refuses
        assert main(["video", str(clip), "--model", str(model), "-o", "/proc/out.mp4"]) == 2
        assert "cannot be made in /proc" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_all_three(tmp_path, clip, model, capsys):
    out, table, picture = (str(tmp_path / name) for name in ("o.mp4", "t.csv", "p.html"))
    call = ["video", str(clip), "-o", out, "--timeline", table, "--picture", picture, "--every", "4"]
    assert main([*call, "--model", str(model), "--explain", "grad-cam"]) == 0
    assert "24 frames, 6 analysed, 0 of them without a face, 0 broken, 2 persons" in capsys.readouterr().err
    assert "plotly" in Path(picture).read_text()
    assert len(list(tmp_path.iterdir())) == 3


def test_the_picture_has_a_panel_per_person(tmp_path, fer, clip):
    annotate_video(fer, clip, timeline=tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv")
    figure = timeline_figure(table, EMOTIONS)
    assert [note.text for note in figure.layout.annotations] == ["person 1", "person 2"]
    smooth = [trace for trace in figure.data if trace.name == "fear" and trace.line.width == 2.5]
    np.testing.assert_allclose(np.array(smooth[1].y, float), table[table["person"] == 2]["fear_smooth"])
    assert len(timeline_figure(table[:0], EMOTIONS).data) == 0


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, clip):
    fer = tiny_recognizer()

    def fail(done: int, total: int | None) -> None:
        if done == 12:
            raise RuntimeError("disk full, say")

    with pytest.raises(RuntimeError, match="disk full"):
        annotate_video(fer, clip, tmp_path / "o.mp4", tmp_path / "t.csv", progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_stopping_keeps_whole_files(tmp_path, fer, clip):
    done: list[int] = []
    summary = annotate_video(
        fer, clip, tmp_path / "o.mp4", tmp_path / "t.csv",
        stop=lambda: len(done) >= 10, progress=lambda number, total: done.append(number),
    )  # fmt: skip
    assert summary.stopped
    assert len(read(tmp_path / "o.mp4")) == 10
    assert pd.read_csv(tmp_path / "t.csv")["frame"].max() == 9
    with av.open(str(tmp_path / "o.mp4")) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(0.4, abs=0.05)


@pytest.mark.slow  # a process of its own has to import torch and load a model
def test_ctrl_c_leaves_a_playable_file(tmp_path, model):
    source = write_clip(tmp_path / "in.mp4", moving_face(60) * 20)
    call = [sys.executable, "-m", "gimefive_hf.cli", "video", str(source), "-o", str(tmp_path / "out.mp4")]
    call += ["--model", str(model), "--timeline", str(tmp_path / "t.csv")]
    process = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    while process.poll() is None and not list(tmp_path.glob(".out.*")):
        time.sleep(0.02)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    frames = read(tmp_path / "out.mp4")
    assert 0 < len(frames) < 1200
    assert len(pd.read_csv(tmp_path / "t.csv")["frame"].unique()) == len(frames)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "t.csv"]


def test_prefetch_keeps_order_passes_errors_and_ends_its_thread():
    def numbers():
        yield from range(5)
        raise KeyError("six")

    before = threading.active_count()
    made = prefetch(numbers(), 2)
    assert [next(made) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="six"):
        next(made)
    endless = prefetch(iter(int, 1), 2)
    next(endless)
    endless.close()
    assert threading.active_count() == before
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_the_writer_takes_nanoseconds(tmp_path):
    with_nanoseconds = VideoWriter(tmp_path / "o.mp4", 64, 48, Fraction(1, 10**9), 30)
    for index in range(3):
        with_nanoseconds.write(np.zeros((48, 64, 3), np.uint8), index / 30)
    with_nanoseconds.close()
    np.testing.assert_allclose([f.time for f in read(tmp_path / "o.mp4")], np.arange(3) / 30, atol=2e-5)


@pytest.mark.browser
def test_chromium_plays_the_output(tmp_path, fer, clip, browser):
    annotate_video(fer, clip, tmp_path / "out.mp4")
    (tmp_path / "page.html").write_text('<video id="v" src="out.mp4" muted autoplay></video>')
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("v.ended", timeout=60_000)
    assert page.evaluate("[v.videoWidth, v.duration, v.error]") == [320, pytest.approx(24 / 25, abs=0.1), None]
