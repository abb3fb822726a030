"""The settings: put your own values where a <placeholder> is; the rest may stay as it is.

Each setting can be an environment variable instead, which wins over this file:
MISP2SENTINEL_ and its name in capitals, keys after two underscores
(MISP2SENTINEL_MS_AUTH__CLIENT_SECRET). With _FILE after the name it names a file that holds
the value, so that this file need not contain any secret. docs/configure.md says more about each.
"""

# --- Microsoft -------------------------------------------------------------------------------------

ms_cloud = "public"  # "public", or "usgov" for Azure US Government
ms_auth = {
    "tenant": "<tenant>",  # directory (tenant) id, or one of its domain names
    "client_id": "<client_id>",  # application (client) id of the app registration
    "credential": "secret",  # or "certificate", "managed_identity", "workload_identity": docs/identities.md
    "client_secret": "<client_secret>",  # value, not id, of a secret of that app
    "certificate_path": "",  # certificate: absolute path of a PEM or PFX file with key and certificate
    "certificate_password": "",  # certificate: password of its key, if it has one
    "managed_identity_client_id": "",  # managed_identity: client id of a user-assigned one
    "federated_token_file": "",  # workload_identity: absolute path; "": the one in AZURE_FEDERATED_TOKEN_FILE
    "workspace_id": "<workspace_id>",  # id of the Log Analytics workspace that Sentinel is on
    "subscription_id": "",  # for adopt and sightings: the subscription that the workspace is in
    "resourceGroupName": "",  # for adopt and sightings: the workspace's resource group
    "workspaceName": "",  # for adopt and sightings: the workspace's name
    "graph_api": False,  # True: the Graph API, which Microsoft has deprecated (docs/graph.md)
    "new_upload_api": True,  # True: STIX objects API; False: legacy Upload Indicators API
    "scope": "",  # what the token is for; "": the one of ms_cloud
}
ms_tenants = []  # several destinations instead of the one above (docs/destinations.md)
ms_api_version = "2024-02-01-preview"  # version of the STIX objects API
ms_legacy_upload_key = "indicators"  # legacy API only: "indicators", or "value" for its older form
ms_max_indicators_request = 100  # indicators in one request, 100 at most
ms_max_requests_minute = 100  # requests in one minute
ms_useragent = ""  # the User-Agent header of each request; "": MISP2Sentinel/ and its version
sourcesystem = "MISP"  # source shown in Sentinel; changing it later uploads everything once more
ms_endpoints = {  # base URLs; "": those of ms_cloud
    "authority": "",
    "upload": "",
    "upload_legacy": "",
    "graph": "",
    "management": "",
    "log_analytics": "",
}
ms_target_product = "Azure Sentinel"  # Graph API only: who gets the indicators; or "Microsoft Defender ATP"
ms_action = "alert"  # Graph API only: what happens at a match: "alert", "allow", "block" or "unknown"
ms_passiveonly = False  # Graph API only: True: users see no alert
network_ignore_direction = True  # Graph API only: fill in addresses and ports without a direction as well
ms_verifycert = True  # True, or the path of a CA bundle; False checks nothing
ms_proxies = {}  # such as {"https": "http://proxy.example.org:3128"}
key_vault_name = ""  # Azure Key Vault with the secrets that are given nowhere else: docs/identities.md
key_vault_misp_key = "MISP-Key"  # its secret for misp_key
key_vault_client_secret = "ClientSecret"  # its secret for ms_auth["client_secret"]

# --- MISP ------------------------------------------------------------------------------------------

misp_domain = "<misp_domain>"  # address of MISP, such as https://misp.example.org
misp_key = "<misp_key>"  # authentication key; a read-only one is enough
misp_verifycert = True  # True, or the path of a CA bundle; False checks nothing
misp_proxies = {}  # such as {"https": "http://proxy.example.org:3128"}
misp_headers = {}  # HTTP headers to send along, for a gateway before MISP
misp_timeout = 120  # seconds that MISP may be silent
misp_answer_minutes = 15  # minutes that an answer may take, from its first byte to its last
misp_answer_mib = 512  # MiB that an answer may have when it is decoded
misp_event_filters = {  # which events, in the names of MISP's REST search
    "published": 1,
    "enforceWarninglist": True,
    "publish_timestamp": "14d",
}
misp_event_limit_per_page = 50  # events in one request
misp_remove_eventreports = True  # leave event reports out
misp_flatten_attributes = True  # take the attributes of objects one by one, without their object

# --- Stories: share and collect only (docs/stories.md) ------------------------------------------------

misp_stories = {
    "url": "",  # address of the MISP that stories go to; "": misp_domain
    "api_key": "",  # a key that may write; the nightly one may and should stay read-only
    "organisation_id": None,  # your own organisation's id on that MISP, a number
    "ssl_check": True,  # True, or the path of a CA bundle; False checks nothing
    "sharing_group_id": None,  # share to this sharing group, and collect only from it
    "distribution": None,  # 0 to 4; None: 4 with a sharing group, else 0, your organisation only
    "request_timeout": 60,  # seconds to wait for an answer; MISP takes its time over large events
    "user_agent": "",  # the User-Agent header of each request; "": MISP2Sentinel/ and its version
    "proxy_server": "",  # such as http://proxy.example.org:3128; "": the one in the environment
    "additional_headers": {},  # HTTP headers to send along
    "refresh_interval": 0,  # minutes after a successful collection in which collect does nothing
    "days_without_change": 0,  # collect leaves out what has not changed for this many days; 0: nothing
}

# --- Sightings: what Sentinel's alerts matched, written to MISP ----------------------------------------

misp_sightings = {
    "api_key": "",  # a key that may add sightings; misp_key can stay read-only; "": none are written
    "in_run": False,  # True: each whole run reads the alerts at its end, too
    "source": "Microsoft Sentinel {destination}",  # shown in MISP; {destination} is the destination's name
    "rules": ["TI map*"],  # rules whose alerts count by the values of their entities, too
    "endpoint": "management",  # where alerts are asked for; or "log_analytics"
    "max_tlp": "red",  # nothing is written of what is stricter
    "false_positives": False,  # True: incidents closed as false positive become sightings of type 1
}

# --- Indicators ------------------------------------------------------------------------------------

default_confidence = 50  # 0 to 100, where no tag gives one
days_to_expire = 50  # days that an indicator is valid
days_to_expire_start = "current_date"  # count them from "current_date" or from "valid_from"
days_to_expire_mapping = {  # days for some kinds of observable
    "ipv4-addr": 150,
    "ipv6-addr": 150,
    "domain-name": 300,
    "url": 400,
}
days_to_expire_ignore_misp_last_seen = False  # True: MISP's last_seen does not set the expiry
ignore_localtags = True  # local tags do not become labels, and name no actor or technique
activity_group_labels = True  # indicators name their actors in a label that Sentinel's rules put into alerts
send_private_and_cidr = False  # True: send private addresses and blocks of addresses too
lowercase_url_twins = False  # True: send a URL with capital letters a second time, in small letters
filters = {}  # which attributes, such as {"exclude_tags": ["no-siem"], "max_tlp": "amber"}
deduplicate = "attribute"  # one indicator for each "attribute", or for each "value" that several attributes share
context = ""  # beside indicators "nothing", "identities", "actors" or "techniques"; "": actors, where it can be
context_private = False  # True: actors and techniques too that MISP shows your organisation or a sharing group only

# --- The ledger: what was sent, and what leaves again (docs/ledger.md) -------------------------------

state_url = ""  # the ledger's database: postgresql://... or sqlite:///...; "": a file in state_dir; "none": no ledger
full_sync_days = 7  # days after which a run reads everything again
unpublished_grace_days = 7  # days that an event is held after an edit, until it is published again
max_withdraw_percent = 20  # to withdraw more of it (and over 100 at once, 20 in a day) needs --force-withdraw
refresh_days = 0  # days after which a valid indicator is sent again; 0: never

# --- This script -----------------------------------------------------------------------------------

state_dir = None  # absolute path for ledger, lock and dumps; None: the first of three places (docs/ledger.md)
log_file = None  # None: misp2sentinel.log in state_dir
verbose_log = False  # log more
write_parsed_indicators = False  # write the indicators to a file in state_dir
write_parsed_eventid = False  # log the id of each event
sentinel_write_response = False  # write Microsoft's answers that are not plain successes to a file in state_dir
write_post_json = False  # write each of Microsoft's answers to a file in logs/ in state_dir
max_run_minutes = 0  # stop cleanly after this many minutes, the next run continues; 0: no limit
dry_run = False  # do everything but the upload

# --- Monitoring (docs/monitor.md) ------------------------------------------------------------------

report_file = None  # a page about how it stands, written after each run: absolute path of an HTML file
metrics_file = None  # for Prometheus, after each run: a file that ends with .prom
on_start = ""  # an address that is pinged when a run begins, such as https://ping.example.org/ID/start; "": none
on_success = ""  # ... when it ended well
on_failure = ""  # ... when it failed
notify = []  # who gets a message when it fails, and when it is well again: addresses of apprise
