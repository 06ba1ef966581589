"""What other programs recorded looks like ours: a flight from a table in the player, a run of MLflow by its metrics."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, session_page, until

pytestmark = pytest.mark.web
TRACKERS = Path(__file__).parents[2] / "fixtures" / "trackers"
FLIGHT = "time (s),uav1_x,uav1_y,uav1_z,uav1_battery,uav2_x,uav2_y,uav2_z,uav2_battery,mode,message\n" + "".join(
    f"{n / 10},{n / 10},0,5,{100 - n / 4},{-n / 20},3,7,90,{'climb' if n < 50 else 'clean'},{'windy' * (n == 60)}\n"
    for n in range(200)
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("imported")
    (folder / "Fleet.csv").write_text(FLIGHT)
    with tarfile.open(TRACKERS / "mlflow-3.17-sqlite.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    (folder / "store").mkdir()
    with sessionstore.open(folder / "store") as store:
        assert store.import_file(folder / "Fleet.csv").state == "imported"
        assert store.import_file(folder / "mlflow.db").state == "imported"
    yield from running_server(folder / "store", Settings())


def test_a_flight_of_a_table_has_its_drones_phases_batteries_and_log(
    site: Running, open_page: Callable[..., Any]
) -> None:
    page = session_page(site, open_page, "Fleet")
    page.evaluate(f"{PLAYER}.seek(10)")
    until(page, f"Math.abs({PLAYER}.t - 10) < 0.01")
    drones = page.locator("text=75 %")  # uav1 at 10 s
    drones.first.wait_for()
    until(page, f"{PLAYER}.timeline.phaseAt(10) === 'clean' && {PLAYER}.timeline.phaseAt(1) === 'climb'")
    page.get_by_role("tab", name="Log").click()
    page.locator("text=windy").first.wait_for()
    page.get_by_role("region", name="Charts").locator("text=Battery (%)").wait_for()


def test_a_run_of_mlflow_shows_its_metrics_without_being_asked(site: Running, open_page: Callable[..., Any]) -> None:
    page = session_page(site, open_page, "child-3-0")
    charts = page.get_by_role("region", name="Charts")
    for name in ("metrics.loss", "metrics.acc", "metrics.train/f1"):
        charts.locator(f"text={name}").first.wait_for()
    assert charts.locator("text=metrics.step").count() == 0
    page.get_by_role("tab", name="Artifacts").click()
    page.locator("text=plans/deep/plan.txt").first.wait_for()
