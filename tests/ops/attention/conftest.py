"""No kernel that a test runs with race detection may have had a race, in any of its calls."""

import pytest
from jax._src.pallas.mosaic.interpret.race_detection_state import RaceDetectionState


@pytest.fixture(autouse=True)
def no_races(monkeypatch):
    states, make = [], RaceDetectionState.__init__

    def remember(self, *args, **keywords):
        make(self, *args, **keywords)
        states.append(self)

    monkeypatch.setattr(RaceDetectionState, "__init__", remember)
    yield states
    assert not any(state.races_found for state in states)
