"""Names that settings had in older versions, and that others have for them. Pure."""

from __future__ import annotations

RENAMED = {
    "graph_auth": "ms_auth",
    "targetProduct": "ms_target_product",
    "action": "ms_action",
    "passiveOnly": "ms_passiveonly",
    "defaultConfidenceLevel": "default_confidence",
    "misp_ignore_localtags": "ignore_localtags",
}
NEEDLESS = {
    "remove_pipe_from_misp_attribute": "composite attributes are always taken apart",
    "ms_check_if_exist_in_sentinel": "ids are stable, so an upload replaces and there is nothing to check",
    "timeframe_toids_change": "to_ids is read again in each run",
}
# What others call a setting; no name of it is taken, the right one is named.
MEANT = {"misp_url": "misp_domain", "misp_host": "misp_domain"}
