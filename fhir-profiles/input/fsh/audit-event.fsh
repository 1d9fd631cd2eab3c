// Successful requests and disclosures: BALP's RESTful profiles, with the tie to the sealed record. The client's network
// address is no part of an access event: `network` says data-absent-reason `unknown`.

RuleSet: Sealed
* ^experimental = false
* extension contains SealgateAccessEvent named accessEvent 1..1 MS and SealgateRule named rule 0..* MS
* meta.tag 1..*
* meta.tag ^short = "Among them the id of the record, system https://sealgate.dev/fhir/sid/audit-record"

RuleSet: OfRequest
* insert Sealed
* entity[transaction] 1..1

Profile: SealgateAuditCreate
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Create
Id: sealgate-audit-create
Title: "Create"
Description: "A create that succeeded; the patient is told of by a Patient Create of its own."
* insert OfRequest

Profile: SealgateAuditPatientCreate
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientCreate
Id: sealgate-audit-patient-create
Title: "Patient Create"
Description: "What a create stored of one patient."
* insert OfRequest

Profile: SealgateAuditRead
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Read
Id: sealgate-audit-read
Title: "Read"
Description: "A read or vread that succeeded."
* insert OfRequest

Profile: SealgateAuditPatientRead
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead
Id: sealgate-audit-patient-read
Title: "Patient Read"
Description: "What a read or vread disclosed of one patient."
* insert OfRequest

Profile: SealgateAuditUpdate
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Update
Id: sealgate-audit-update
Title: "Update"
Description: "An update that succeeded."
* insert OfRequest

Profile: SealgateAuditPatientUpdate
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientUpdate
Id: sealgate-audit-patient-update
Title: "Patient Update"
Description: "What an update stored of one patient."
* insert OfRequest

Profile: SealgateAuditDelete
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Delete
Id: sealgate-audit-delete
Title: "Delete"
Description: "A delete that succeeded."
* insert OfRequest

Profile: SealgateAuditPatientDelete
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientDelete
Id: sealgate-audit-patient-delete
Title: "Patient Delete"
Description: "What a delete removed of one patient."
* insert OfRequest

Profile: SealgateAuditQuery
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Query
Id: sealgate-audit-query
Title: "Query"
Description: "A search that succeeded. The query is sealed under the key of the request event; what was found is told per patient."
* insert OfRequest

Profile: SealgateAuditPatientQuery
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientQuery
Id: sealgate-audit-patient-query
Title: "Patient Query"
Description: "That a window of a search's answer disclosed data of one patient."
* insert OfRequest

// What Consents of one patient decided, where patient, Consent, user and organisation are all known.

Profile: SealgateAuditConsentDecision
Parent: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.AuthZconsent
Id: sealgate-audit-consent-decision
Title: "Consent decision"
Description: "What Consents of one patient decided about what a request asked for."
* insert Sealed
* outcomeDesc 1..1
* entity[consent] ^short = "The Consent; `description` is the path of the provision that decided"

// BALP has no profile of failures.

Profile: SealgateAuditFailure
Parent: AuditEvent
Id: sealgate-audit-failure
Title: "Refused or failed"
Description: "A request that was refused or failed, or what Consent withheld of one patient."
* insert Sealed
* type = http://terminology.hl7.org/CodeSystem/audit-event-type#rest
* action 1..1
* outcome 1..1
* outcome ^short = "4: the request could not be served; 8: gateway or FHIR server failed, or Consent denied"
* outcomeDesc 1..1
* agent 2..*
* agent ^slicing.discriminator.type = #value
* agent ^slicing.discriminator.path = "type"
* agent ^slicing.rules = #open
* agent contains client 1..1 and server 1..1 and user 0..1
* agent[client].type = http://dicom.nema.org/resources/ontology/DCM#110153
* agent[client].who 1..1
* agent[client].network 1..1
* agent[server].type = http://dicom.nema.org/resources/ontology/DCM#110152
* agent[server].who 1..1
* agent[server].network 1..1
* agent[user].type = http://terminology.hl7.org/CodeSystem/v3-ParticipationType#IRCP
* agent[user].who 1..1
* agent[user].requestor = true
* entity ^slicing.discriminator.type = #value
* entity ^slicing.discriminator.path = "type"
* entity ^slicing.rules = #open
* entity contains transaction 1..1 and query 0..1 and patient 0..1
* entity[transaction].type = https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType#XrequestId
* entity[transaction].what.identifier.value 1..1
* entity[query].type = http://terminology.hl7.org/CodeSystem/audit-entity-type#2
* entity[query].role = http://terminology.hl7.org/CodeSystem/object-role#24
* entity[query].query 1..1
* entity[patient].type = http://terminology.hl7.org/CodeSystem/audit-entity-type#1
* entity[patient].role = http://terminology.hl7.org/CodeSystem/object-role#1
* entity[patient].what 1..1

Profile: SealgateAuditOperation
Parent: AuditEvent
Id: sealgate-audit-operation
Title: "Operation of the gateway"
Description: "What the gateway or its operator did: the audit read, a policy changed, keys erased, requests without a caller counted."
* insert Sealed
* subtype 1..1
* subtype from SealgateEventKinds (required)
* action 1..1
* outcome 1..1

ValueSet: SealgateEventKinds
Id: sealgate-event-kinds
Title: "Kinds of access events that become operations"
Description: "Every code of sealgate-event-kind."
* ^experimental = false
* include codes from system SealgateEventKind
