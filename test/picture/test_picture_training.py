"""The networks and their training: parameter counts, block-by-block equality, resuming, whitening."""

import argparse
import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sketch_cell.errors import InputError  # noqa: E402
from sketch_cell.picture import (  # noqa: E402
    dct,
    deblock_net,
    quality,
    train_data,
    train_deblock,
    train_export,
    train_loss,
    train_optimiser,
    train_stages,
)
from sketch_cell.picture.deblock_net import (  # noqa: E402
    FAST,
    FINE,
    LAYOUTS,
    PARAMETERS,
    REFERENCE,
    DeblockNet,
    convolved,
    planes_of,
)
from sketch_cell.picture.jpeg import standard_luma_table  # noqa: E402
from sketch_cell.picture.train_data import (  # noqa: E402
    KINDS,
    Crops,
    Damage,
    check_sources,
    damaged,
    smooth_crop,
    text_crop,
)
from sketch_cell.picture.weights import load_weights, read_weights  # noqa: E402


def random_net(layout, sets=1):
    torch.manual_seed(0)
    net = DeblockNet(layout, sets)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return net


def random_whitened_net(layout):
    net = random_net(layout)
    net.mean.normal_(100, 20)
    net.whiten.normal_(0, 0.05)
    net.colour.normal_(0, 1)
    return net


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_has_exactly_57_987_parameters(layout):
    assert sum(p.numel() for p in DeblockNet(layout).parameters()) == PARAMETERS == 57_987
    with pytest.raises(ValueError, match="57987"):
        DeblockNet(dataclasses.replace(layout, widths=(32, 32, 32, 17)))


def test_the_reference_sees_a_block_and_its_eight_neighbours():
    # 24 x 24 -> 8 x 8: one 8 x 8 block from the 3 x 3 blocks around it.
    assert REFERENCE.margin_px == 8 and REFERENCE.unshuffle == 1
    net = random_net(REFERENCE)
    picture = torch.randint(0, 256, (1, 3, 40, 48)).float()
    with torch.no_grad():
        whole = net(picture)
        for top in range(0, 24, 8):
            for left in range(0, 32, 8):
                block = net(picture[..., top : top + 24, left : left + 24])
                assert block.shape[-2:] == (8, 8)
                assert torch.allclose(block, whole[..., top : top + 8, left : left + 8], atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_folding_the_whitening_changes_nothing(layout):
    net = random_whitened_net(layout)
    plain = DeblockNet(layout)
    with torch.no_grad():
        for parts, arrays in zip((plain.kernels, plain.biases), net.folded(0), strict=True):
            for part, array in zip(parts, arrays[: len(parts)], strict=True):
                part[0].copy_(torch.from_numpy(array))
        picture = torch.randint(0, 256, (1, 3, 80, 96)).float()
        assert torch.allclose(net(picture), plain(picture), atol=2e-2)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_folded_weights_can_be_trained_on(layout):
    net = random_whitened_net(layout)
    for matrix in (net.whiten, net.colour):
        matrix += torch.eye(len(matrix))
    other = DeblockNet(layout)
    for name in ("whiten", "mean", "colour"):
        getattr(other, name).copy_(getattr(net, name))
    other.unfold(0, *net.folded(0))
    picture = torch.randint(0, 256, (1, 3, 80, 96)).float()
    with torch.no_grad():
        assert torch.allclose(net(picture), other(picture), atol=2e-2)


def test_rounds_add_to_what_they_are_given_with_biases_of_their_own():
    net = random_whitened_net(FINE)
    picture = torch.randint(0, 256, (1, 3, 96, 80)).float()
    weights = net.weights()
    assert len(weights) == 2 + 3 * FINE.rounds
    with torch.no_grad():
        planes = torch.nn.functional.pixel_unshuffle(picture, 2) - net.mean[:, None, None]
        planes = (
            torch.nn.functional.conv2d(planes, weights[0][0]) + net.biases[0][0].tile(1, 12, 10)[:, :46, :38]
        )
        for turn in range(FINE.rounds):
            found = planes
            for layer in (1, 2, 3):
                bias = net.biases[layer][0, :, 0, 0].chunk(FINE.rounds)[turn]
                found = torch.nn.functional.conv2d(found.relu(), net.kernels[layer][0], bias)
            planes = planes[..., 3:-3, 3:-3] + found
        change = torch.nn.functional.conv2d(planes.relu(), net.kernels[4][0])
        change = torch.einsum("oi,bihw->bohw", net.colour, change)
        change = torch.nn.functional.pixel_shuffle(change, 2)[..., 4:-4, 4:-4]
        inner = picture[..., 32:-32, 32:-32]
        assert torch.allclose(net(picture), inner + change, rtol=1e-4, atol=1e-2)
        assert change.abs().mean() > 1


def test_what_is_trained_is_held_as_what_is_run():
    rng = np.random.default_rng(2)
    change = rng.normal(0, 20, (2, 24, 40, 3)).astype(np.float32)
    jpeg = rng.integers(1, 255, change.shape, np.uint8)
    jpeg[0, :2, :5, 1] = 255
    jpeg[1, :2, :4, 1] = 0
    table, gains = standard_luma_table(30), rng.uniform(0.5, 1.5, (3, 8, 8)).astype(np.float32)
    planes = [torch.from_numpy(part).permute(0, 3, 1, 2).float() for part in (change, jpeg)]
    trained = deblock_net.held(*planes, table, torch.from_numpy(gains))
    for number, picture in enumerate(trained.permute(0, 2, 3, 1).numpy()):
        assert np.allclose(picture, dct.held(change[number], jpeg[number], table, gains), atol=1e-3)


def test_a_grey_picture_is_held_as_three_equal_planes():
    rng = np.random.default_rng(3)
    change = rng.normal(0, 20, (24, 40)).astype(np.float32)
    jpeg = rng.integers(1, 255, change.shape, np.uint8)
    jpeg[:2, :5] = 255
    table, gains = standard_luma_table(30), rng.uniform(0.5, 1.5, (3, 8, 8)).astype(np.float32)
    in_colour = dct.held(*(np.dstack([part] * 3) for part in (change, jpeg)), table, gains)
    assert np.allclose(dct.held(change, jpeg, table, gains)[:, :, None], in_colour, atol=1e-3)


def test_a_second_reading_sees_the_picture_beside_the_first():
    net = random_whitened_net(FINE)
    border = FINE.border_px
    picture = torch.randint(0, 256, (1, 1, 96, 96)).float().expand(1, 3, 96, 96)
    with torch.no_grad():
        first = train_deblock.first_reading(net, picture, 0.0, None)
        assert first.shape == picture.shape and torch.equal(first[:, 0], first[:, 2])
        once = net(picture, known=picture)
        assert torch.equal(once.clamp(0, 255).round(), first[..., border:-border, border:-border])
        seen = torch.cat([picture[:, :1], first[:, 1:]], dim=1)
        change, change_of_seen = (
            net(*arguments) - arguments[0][..., border:-border, border:-border]
            for arguments in ((picture, 0.0, None, first), (seen,))
        )
    assert not torch.allclose(first, picture)
    mean = change_of_seen.mean(dim=1, keepdim=True)
    assert torch.allclose(change, mean.expand_as(change), atol=1e-2)


def test_an_untrained_network_changes_nothing():
    picture = torch.randint(0, 256, (1, 3, 48, 48)).float()
    assert torch.equal(DeblockNet(FAST)(picture), picture[..., 16:-16, 16:-16])


def test_weights_between_two_sets_are_their_mixture():
    net = random_net(FAST, sets=3)
    with torch.no_grad():
        for n, (kernel, _) in enumerate(net.weights(1.25)):
            assert torch.allclose(kernel, 0.75 * net.kernels[n][1] + 0.25 * net.kernels[n][2], atol=1e-6)
        assert torch.equal(net.weights(2.0)[0][0], net.kernels[0][2])


def test_an_orthogonal_step_has_equal_singular_values():
    values = torch.linalg.svdvals(train_optimiser.orthogonal(torch.randn(20, 70)))
    assert values.min() > 0.6 and values.max() < 1.3


def test_the_rate_rises_then_falls_to_nearly_nothing():
    rates = [train_optimiser.rate_at(step, step / 1000, 1e-3) for step in range(1001)]
    peak = int(np.argmax(rates))
    assert peak < 150 and rates[-1] < 1e-5
    assert (np.diff(rates[:peak]) > 0).all() and (np.diff(rates[peak:]) < 0).all()


def test_the_loss_counts_relative_improvement():
    clean = torch.zeros(2, 3, 16, 16)
    jpeg = torch.stack([torch.full((3, 16, 16), 2.0), torch.full((3, 16, 16), 20.0)])
    usual = torch.tensor([4.0, 400.0])
    assert train_loss.relative_loss(jpeg, jpeg, clean, usual, 0.1).item() == pytest.approx(2 / 3)
    assert train_loss.relative_loss(jpeg / 2, jpeg, clean, usual, 0.1).item() == pytest.approx(1 / 6)


def test_the_blocking_effect_in_the_loss_is_that_of_the_quality_module():
    picture = np.random.default_rng(1).integers(0, 20, (512, 512), dtype=np.uint8)
    picture[:, np.arange(512) // 8 % 2 == 1] += 60
    planes = torch.from_numpy(picture).float().expand(1, 3, 512, 512)
    expected = 3 * quality.blocking_effect(picture)
    assert expected > 0
    assert train_loss.blocking_effect(planes).item() == pytest.approx(expected, rel=0.01)
    assert train_loss.blocking_effect(planes[..., 4:, 4:]).item() == 0


@pytest.fixture(scope="module")
def tiny_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(0)
    (folder / "data").mkdir()
    for kind in KINDS:
        make = text_crop if kind == "text" else smooth_crop
        np.save(folder / "data" / f"{kind}.npy", np.stack([make(rng) for _ in range(3)]))
    return folder


def test_batches_repeat_with_their_seed_and_step(tiny_data):
    first, again, other = (
        train_deblock.Batches(tiny_data / "data", train_stages.STAGES[0], seed)[7] for seed in (1, 1, 2)
    )
    assert (first.jpeg == again.jpeg).all() and (first.quality == again.quality).all()
    assert (first.jpeg != other.jpeg).any()
    assert first.jpeg.shape == first.clean.shape and (first.jpeg != first.clean).any()


def test_grey_damage_keeps_three_equal_planes(tiny_data):
    batch = Crops(tiny_data / "data").batch(
        np.random.default_rng(0), np.array([10, 20]), Damage(grey_share=1)
    )
    for planes in (batch.jpeg, batch.clean):
        assert (planes[..., 0] == planes[..., 1]).all() and (planes[..., 0] == planes[..., 2]).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_grey_damage_comes_in_the_range_of_pictures_and_of_video(tiny_data, monkeypatch, share):
    monkeypatch.setattr(train_data, "VIDEO_RANGE_SHARE", share)
    crops = Crops(tiny_data / "data")
    monkeypatch.setattr(
        crops, "draw", lambda rng: np.tile(np.uint8([[[0, 0, 0]], [[255, 255, 255]]]), (160, 320, 1))
    )
    clean = crops.batch(np.random.default_rng(0), np.array([10]), Damage(grey_share=1)).clean
    assert (clean.min(), clean.max()) == ((16, 235) if share else (0, 255))


def test_the_sets_see_each_strength_and_most_of_all_the_strong():
    rng = np.random.default_rng(0)
    draws = np.array([train_stages.draw_qualities(rng, train_stages.STAGES[1]) for _ in range(3000)])
    assert (draws == draws[:, :1]).all()
    shares = np.histogram(draws[:, 0], (5, 8, 16, 54, 96))[0] / len(draws)
    assert shares.sum() == 1 and shares.min() > 0.01
    per_quality = shares / np.diff((5, 8, 16, 54, 96))
    assert per_quality.argmax() == 1 and shares[1:3].sum() > 0.9


def test_stronger_damage_is_further_from_the_original():
    crop = text_crop(np.random.default_rng(1))
    errors = [np.square(damaged(crop, q).astype(float) - crop).mean() for q in (5, 20, 60, 95)]
    assert errors == sorted(errors, reverse=True)


def test_training_learns_stops_and_goes_on(tiny_data, monkeypatch, tmp_path):
    (tmp_path / "data").symlink_to(tiny_data / "data")
    monkeypatch.setattr(train_optimiser, "WARM_UP_STEPS", 2)
    monkeypatch.setattr(train_deblock, "MEASURED_BATCHES", 1)
    monkeypatch.setattr(train_deblock, "_report", lambda *_: None)
    options = argparse.Namespace(seed=1, layout="fast", minutes={}, photos=tmp_path, shipped=False)
    losses = []
    step = train_deblock._step
    monkeypatch.setattr(train_deblock, "_step", lambda *a: losses.append(step(*a)) or losses[-1])
    stage = dataclasses.replace(train_stages.STAGES[0], steps=3)
    train_deblock.train_stage(stage, tmp_path, options)
    train_deblock.train_stage(dataclasses.replace(stage, steps=5), tmp_path, options)
    assert len(losses) == 5 and all(math.isfinite(loss) for loss in losses)
    child = dataclasses.replace(train_stages.STAGES[1], steps=2)
    train_deblock.train_stage(child, tmp_path, options)
    monkeypatch.setattr(train_export, "PEAK_BATCHES", 1)
    train_export.export(tmp_path, tmp_path, "fast")
    names = {"fast.onnx", "fast_int8.onnx", "fast_blind.npz", "fast_grey.npz", "fast_colour.npz"}
    assert {p.name for p in tmp_path.glob("fast*")} == names
    assert [len(part) for part in read_weights(tmp_path / "fast_grey.npz").peaks] == [7] * 5


def test_peaks_are_the_largest_that_each_channel_gives(tiny_data, monkeypatch):
    monkeypatch.setattr(train_export, "PEAK_BATCHES", 1)
    stage, crops = train_stages.STAGES[0], Crops(tiny_data / "data")
    sets = load_weights("blind")
    peaks = train_export.measured_peaks(sets, stage, crops)
    rng = np.random.default_rng(0)
    jpeg = planes_of(crops.batch(rng, train_stages.draw_qualities(rng, stage), stage.damage).jpeg)
    first, bias = (torch.from_numpy(part) for part in sets.at(0.0)[:2])
    cells = torch.nn.functional.pixel_unshuffle(jpeg, 2)
    largest = convolved(cells, first, bias, 1).relu().amax(dim=(0, 2, 3)).numpy()
    assert np.allclose(peaks[0][0], largest) and largest.max() > 1
    assert all((part >= 0).all() for part in peaks) and peaks[4].min() > 0


@pytest.mark.parametrize("layout", ["fast", "fine"])
def test_training_goes_on_from_the_shipped_weights(tiny_data, monkeypatch, tmp_path, layout):
    (tmp_path / "data").symlink_to(tiny_data / "data")
    monkeypatch.setattr(train_deblock, "MEASURED_BATCHES", 1)
    options = argparse.Namespace(seed=1, layout=layout, shipped=True)
    state, _ = train_deblock._start(train_stages.STAGES[1], tmp_path, options)
    shipped = load_weights("grey", layout)
    if shipped.gains is not None:
        assert np.array_equal(shipped.gains, state.net.gains.detach().numpy())
    for number in (0, 6):
        for parts, found in zip((shipped.kernels, shipped.biases), state.net.folded(number), strict=True):
            assert all(np.allclose(part[number], f, atol=1e-3) for part, f in zip(parts, found, strict=True))


def test_missing_training_pictures_are_named(tmp_path):
    with pytest.raises(InputError, match="BSDS500"):
        check_sources(tmp_path)
