"""What stands after -- is Beam's to understand, and an error where it does not."""

import pytest

from data_pipelines.stages import Runner
from videogen.core.errors import ConfigError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]


@pytest.mark.parametrize(
    "argument, said",
    [
        (
            "--direct_num_wrokers=2",
            "direct_num_wrokers; --direct_num_workers would work",
        ),
        ("--direct_num_workers=two", "direct_num_workers: invalid int value: 'two'"),
        ("--qqq", "Beam does not know --qqq"),
    ],
)
def test_arguments_that_beam_does_not_know_are_told(capsys, argument, said):
    with pytest.raises(ConfigError, match=f"^after --: .*{said}$"):
        Runner(arguments=(argument,)).pipeline()
    assert not capsys.readouterr().err  # Beam's usage, pages of it


def test_what_it_knows_reaches_it():
    arguments = ("--direct_num_workers=3", "--direct_running_mode=multi_processing")
    options = Runner(arguments=arguments).pipeline().options.get_all_options()
    assert options["direct_num_workers"] == 3
    assert options["direct_running_mode"] == "multi_processing"


def test_a_job_server_may_know_more():
    Runner(name="FlinkRunner", arguments=("--of_its_own=1",)).pipeline()
