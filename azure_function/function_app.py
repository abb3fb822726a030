"""MISP2Sentinel as an Azure Function: a timer, and the same run as script.py's. See docs/azure-function.md."""

from __future__ import annotations

import os

import azure.functions as func

from helpers.commands.azure_timer import run_on_timer

app = func.FunctionApp()


@app.timer_trigger(arg_name="timer", schedule="%timerTriggerSchedule%", run_on_startup=False, use_monitor=True)
def misp2sentinel(timer: func.TimerRequest) -> None:  # noqa: ARG001  Azure hands it over by its name
    """Run once; what goes wrong is the invocation's failure."""
    run_on_timer(os.environ)
