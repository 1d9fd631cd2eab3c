Extension: SealgateAccessEvent
Id: sealgate-access-event
Title: "Access event"
Description: "The sealed record that an AuditEvent stands for: its id, the commitment to it, and the log that holds the commitment. With the record's opening it can be checked against the chain (docs/spec/commitment.md, docs/spec/proof.md)."
Context: AuditEvent
* extension contains
    event 1..1 and
    commitment 1..1 and
    log 1..1
* extension[event] ^short = "The event's id, as urn:uuid"
* extension[event].value[x] only uri
* extension[event].value[x] 1..1
* extension[commitment] ^short = "Keccak-256 commitment to the event, 64 lower-case hex digits"
* extension[commitment].value[x] only string
* extension[commitment].value[x] 1..1
* extension[log] ^short = "Origin of the log, the first line of its checkpoints"
* extension[log].value[x] only string
* extension[log].value[x] 1..1

Extension: SealgateRule
Id: sealgate-rule
Title: "Rule that decided"
Description: "A rule by which the access was permitted, refused, hidden or redacted, or why it failed."
Context: AuditEvent
* value[x] only Coding
* value[x] 1..1
* valueCoding from SealgateRefusals (required)
