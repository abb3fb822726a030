"""What indicators have in common as JSON, for zlib to begin with: bodies take less than half by it. Pure.

It must never change, not by a byte: what was packed with it is read with it. For another one, leave this here, add that
and pack with it; which one a body needs stands in its bytes 2 to 6, where zlib writes the dictionary's Adler-32
("DICTID" in RFC 1950), unless it was packed without any, as before schema 6: bit 5 of byte 1 is not set then.

What is frequent stands at the end, where zlib points to it in the fewest bits.
"""

from __future__ import annotations

# What Graph's indicators have of their own.
_GRAPH = r"""
"graph":{"action":"alert","activityGroupNames":[],"description":"","diamondModel":"unknown","domainName":"
","emailSenderAddress":"","fileHashType":"sha1","fileHashType":"md5","fileHashType":"sha256","fileHashValue":"
","fileName":"","isActive":true,"killChain":[],"malwareFamilyNames":[],"networkDestinationIPv4":"
","networkDestinationIPv6":"","networkIPv4":"","networkIPv6":"","passiveOnly":false,"targetProduct":"Azure Sentinel"
,"url":"https://"},"id":"indicator--
[networkDestinationIPv4 = ' AND networkIPv4 = '[emailSenderAddress = '[fileName = '[url = '[domainName = '
[fileHashValue = ' AND fileHashType = 'sha1' AND fileHashType = 'md5' AND fileHashType = 'sha256' AND threatType = '
WatchList']","type":"tiIndicator","valid_until":"2027-
"""
# What others have in some places.
_SOME = r"""
"lang":"en","revoked":true,"kill_chain_name":"mitre-attack"
Antivirus detection"Artifacts dropped"Attribution"External analysis"Financial fraud"Other"Payload installation"
Persistence mechanism"Social network"Targeting data"misp-galaxy:threat-actor=\"
[windows-registry-key:key = '[autonomous-system:number = '[mutex:name = '[x509-certificate:hashes.'SHA-1' = '
[email-message:subject = '[email-message:from_ref.value = '[email-addr:value = '[file:name = '
[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '' AND network-traffic:dst_port
 = [network-traffic:src_ref.type = 'ipv6-addr' AND network-traffic:src_ref.value = '
[file:hashes.'SHA-512' = '[file:hashes.'SHA-1' = '[file:hashes.MD5 = '[file:hashes.'SHA-256' = '
[ipv6-addr:value = '[ipv4-addr:value = '[url:value = 'http://[url:value = 'https://www.[domain-name:value = '.com']
"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82
"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9
"},{"description":"kill_chain_phases":[{"kill_chain_name":"misp-category","phase_name":"Payload delivery
{"confidence":75,"confidence":100,"created":"2027-0
"""
# One of the upload API, from its beginning to its end.
_WHOLE = r"""
{"confidence":50,"created":"2026-1-01T00:00:00.000Z","created_by_ref":"identity--","description":"File name:
 \nEvent  - MISP event () by  2026-","external_references":[{"description":"Attribute  of Event
 ","external_id":"","source_name":"MISP","url":"https:///events/view/"}],"id":"indicator--
","indicator_types":["WatchList"],"kill_chain_phases":[{"kill_chain_name":"misp-category","phase_name":"
Network activity"}],"labels":["type:OSINT"],"modified":"2026-1-01T00:00:00.000Z","name":"
","object_marking_refs":["marking-definition--"],"pattern":"[domain-name:value = '']","pattern_type":"stix"
,"pattern_version":"2.1","spec_version":"2.1","type":"indicator","valid_from":"2026-1
-01T00:00:00.000Z","valid_until":"2027-0-01T00:00:00.000Z"}
"""
DICTIONARY = (_GRAPH + _SOME + _WHOLE).replace("\n", "").encode("ascii")
