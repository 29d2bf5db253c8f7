import pytest

from components.explain.exact import exact_shapley


def test_glove_game_by_hand() -> None:
    # One right glove (0), two left ones (1, 2); a pair is worth 1: (2/3, 1/6, 1/6).
    values = exact_shapley(lambda who: (who[:, 0] & (who[:, 1] | who[:, 2])).astype(float), 3)
    assert values == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@pytest.mark.parametrize("players", [0, 17])
def test_exact_refuses_other_sizes(players: int) -> None:
    with pytest.raises(ValueError, match="players"):
        exact_shapley(lambda who: who[:, 0].astype(float), players)
