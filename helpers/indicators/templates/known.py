"""What misp-stix gave for examples of values: written by ``python -m deploy.supply templates``. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from helpers.indicators.templates.template import PatternTemplate, Question

# The version that was asked; another one is asked itself.
VERSION = "2026.10.12"
TEMPLATES: Mapping[Question, PatternTemplate] = {
    ("md5", ("0123456789abcdef0123456789abcdef",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.MD5 = '", "']"),
        order=(0,),
        observables=(("file:hashes.MD5", 0),),
    ),
    ("sha1", ("0123456789abcdef0123456789abcdef01234567",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.'SHA-1' = '", "']"),
        order=(0,),
        observables=(("file:hashes.'SHA-1'", 0),),
    ),
    ("sha224", ("0123456789abcdef0123456789abcdef0123456789abcdef01234567",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.'SHA-224' = '", "']"),
        order=(0,),
        observables=(("file:hashes.'SHA-224'", 0),),
    ),
    ("sha256", ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.'SHA-256' = '", "']"),
        order=(0,),
        observables=(("file:hashes.'SHA-256'", 0),),
    ),
    (
        "sha384",
        ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",),
    ): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.'SHA-384' = '", "']"),
        order=(0,),
        observables=(("file:hashes.'SHA-384'", 0),),
    ),
    (
        "sha512",
        (
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
    ): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.'SHA-512' = '", "']"),
        order=(0,),
        observables=(("file:hashes.'SHA-512'", 0),),
    ),
    ("sha512/224", ("0123456789abcdef0123456789abcdef0123456789abcdef01234567",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.'SHA-224' = '", "']"),
        order=(0,),
        observables=(("file:hashes.'SHA-224'", 0),),
    ),
    ("sha512/256", ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.'SHA-256' = '", "']"),
        order=(0,),
        observables=(("file:hashes.'SHA-256'", 0),),
    ),
    ("imphash", ("0123456789abcdef0123456789abcdef",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.IMPHASH = '", "']"),
        order=(0,),
        observables=(("file:hashes.IMPHASH", 0),),
    ),
    ("authentihash", ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.AUTHENTIHASH = '", "']"),
        order=(0,),
        observables=(("file:hashes.AUTHENTIHASH", 0),),
    ),
    ("pehash", ("0123456789abcdef0123456789abcdef01234567",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:hashes.PEHASH = '", "']"),
        order=(0,),
        observables=(("file:hashes.PEHASH", 0),),
    ),
    ("x509-fingerprint-md5", ("0123456789abcdef0123456789abcdef",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[x509-certificate:hashes.MD5 = '", "']"),
        order=(0,),
        observables=(("x509-certificate:hashes.MD5", 0),),
    ),
    ("x509-fingerprint-sha1", ("0123456789abcdef0123456789abcdef01234567",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[x509-certificate:hashes.'SHA-1' = '", "']"),
        order=(0,),
        observables=(("x509-certificate:hashes.'SHA-1'", 0),),
    ),
    ("x509-fingerprint-sha256", ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[x509-certificate:hashes.'SHA-256' = '", "']"),
        order=(0,),
        observables=(("x509-certificate:hashes.'SHA-256'", 0),),
    ),
    ("domain", ("example.org",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[domain-name:value = '", "']"),
        order=(0,),
        observables=(("domain-name:value", 0),),
    ),
    ("hostname", ("www.example.org",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[domain-name:value = '", "']"),
        order=(0,),
        observables=(("domain-name:value", 0),),
    ),
    ("url", ("https://example.org/a",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[url:value = '", "']"),
        order=(0,),
        observables=(("url:value", 0),),
    ),
    ("email", ("someone@example.org",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Social network"}],
        },
        pieces=("[email-addr:value = '", "']"),
        order=(0,),
        observables=(("email-addr:value", 0),),
    ),
    ("email-src", ("someone@example.org",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[email-message:from_ref.value = '", "']"),
        order=(0,),
        observables=(("email-addr:value", 0),),
    ),
    ("email-dst", ("someone@example.org",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[email-message:to_refs[*].value = '", "']"),
        order=(0,),
        observables=(("email-addr:value", 0),),
    ),
    ("filename", ("example.exe",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Payload delivery"}],
        },
        pieces=("[file:name = '", "']"),
        order=(0,),
        observables=(("file:name", 0),),
    ),
    ("mutex", ("example",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Artifacts dropped"}],
        },
        pieces=("[mutex:name = '", "']"),
        order=(0,),
        observables=(("mutex:name", 0),),
    ),
    ("regkey", ("HKEY_CURRENT_USER",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Persistence mechanism"}],
        },
        pieces=("[windows-registry-key:key = '", "']"),
        order=(0,),
        observables=(("windows-registry-key:key", 0),),
    ),
    ("ip-src", ("192.0.2.1",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:src_ref.type = 'ipv4-addr' AND network-traffic:src_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv4-addr:value", 0),),
    ),
    ("ip-src", ("192.0.2.0/24",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:src_ref.type = 'ipv4-addr' AND network-traffic:src_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv4-addr:value", 0),),
    ),
    ("ip-src", ("2001:db8::1",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:src_ref.type = 'ipv6-addr' AND network-traffic:src_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv6-addr:value", 0),),
    ),
    ("ip-src", ("2001:db8::/32",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:src_ref.type = 'ipv6-addr' AND network-traffic:src_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv6-addr:value", 0),),
    ),
    ("ip-dst", ("192.0.2.1",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv4-addr:value", 0),),
    ),
    ("ip-dst", ("192.0.2.0/24",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv4-addr:value", 0),),
    ),
    ("ip-dst", ("2001:db8::1",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:dst_ref.type = 'ipv6-addr' AND network-traffic:dst_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv6-addr:value", 0),),
    ),
    ("ip-dst", ("2001:db8::/32",)): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[network-traffic:dst_ref.type = 'ipv6-addr' AND network-traffic:dst_ref.value = '", "']"),
        order=(0,),
        observables=(("ipv6-addr:value", 0),),
    ),
    ("domain|ip", ("example.org", "192.0.2.1")): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[domain-name:value = '", "' AND domain-name:resolves_to_refs[*].value = '", "']"),
        order=(0, 1),
        observables=(("domain-name:value", 0), ("ipv4-addr:value", 1)),
    ),
    ("domain|ip", ("example.org", "192.0.2.0/24")): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[domain-name:value = '", "' AND domain-name:resolves_to_refs[*].value = '", "']"),
        order=(0, 1),
        observables=(("domain-name:value", 0), ("ipv4-addr:value", 1)),
    ),
    ("domain|ip", ("example.org", "2001:db8::1")): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[domain-name:value = '", "' AND domain-name:resolves_to_refs[*].value = '", "']"),
        order=(0, 1),
        observables=(("domain-name:value", 0), ("ipv6-addr:value", 1)),
    ),
    ("domain|ip", ("example.org", "2001:db8::/32")): PatternTemplate(
        stix={
            "type": "indicator",
            "pattern_type": "stix",
            "kill_chain_phases": [{"kill_chain_name": "misp-category", "phase_name": "Network activity"}],
        },
        pieces=("[domain-name:value = '", "' AND domain-name:resolves_to_refs[*].value = '", "']"),
        order=(0, 1),
        observables=(("domain-name:value", 0), ("ipv6-addr:value", 1)),
    ),
}
