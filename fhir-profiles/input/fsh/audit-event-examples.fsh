Alias: $dcm = http://dicom.nema.org/resources/ontology/DCM
Alias: $event = http://terminology.hl7.org/CodeSystem/audit-event-type
Alias: $interaction = http://hl7.org/fhir/restful-interaction
Alias: $entity = http://terminology.hl7.org/CodeSystem/audit-entity-type
Alias: $role = http://terminology.hl7.org/CodeSystem/object-role
Alias: $source = http://terminology.hl7.org/CodeSystem/security-source-type
Alias: $ircp = http://terminology.hl7.org/CodeSystem/v3-ParticipationType
Alias: $purpose = http://terminology.hl7.org/CodeSystem/v3-ActReason
Alias: $lifecycle = http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle
Alias: $balpEntity = https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType
Alias: $balpAuthz = https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType
Alias: $balpAgent = https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes
Alias: $tag = https://sealgate.dev/fhir/sid/audit-record
Alias: $absent = http://hl7.org/fhir/StructureDefinition/data-absent-reason

RuleSet: EventOf(id, event, commitment)
* id = "{id}"
* meta.tag = $tag#{id}
* extension[accessEvent].extension[event].valueUri = "urn:uuid:{event}"
* extension[accessEvent].extension[commitment].valueString = "{commitment}"
* extension[accessEvent].extension[log].valueString = "log.clinic-north.example/sealgate"
* recorded = "2026-11-22T16:20:00.123Z"
* source.site = "clinic-north"
* source.observer.identifier.system = "urn:ietf:rfc:3986"
* source.observer.identifier.value = "https://fhir.clinic-north.example"
* source.observer.display = "Sealgate"

RuleSet: RestBy(client, server, user)
* type = $event#rest
* source.type = $source#4
* agent[client].type = {client}
* agent[client].requestor = false
* agent[client].who.identifier.system = "https://login.clinic-north.example"
* agent[client].who.identifier.value = "ward-app"
* agent[client].network.extension.url = $absent
* agent[client].network.extension.valueCode = #unknown
* agent[server].type = {server}
* agent[server].requestor = false
* agent[server].who.identifier.system = "urn:ietf:rfc:3986"
* agent[server].who.identifier.value = "https://fhir.clinic-north.example"
* agent[server].network.address = "https://fhir.clinic-north.example"
* agent[server].network.type = #5
* agent[user].type = $ircp#{user}
* agent[user].requestor = true
* agent[user].who.identifier.system = "https://login.clinic-north.example"
* agent[user].who.identifier.value = "dr-ada-voss"
* agent[user].purposeOfUse = $purpose#TREAT

RuleSet: Transaction(request)
* entity[transaction].type = $balpEntity#XrequestId
* entity[transaction].what.identifier.value = "{request}"

RuleSet: PatientEntity(patient)
* entity[patient].type = $entity#1
* entity[patient].role = $role#1
* entity[patient].what = Reference(Patient/{patient})
* entity[patient].what.type = "Patient"

RuleSet: DataEntity(type, url)
* entity[data].type = $entity#2
* entity[data].role = $role#4
* entity[data].what.type = "{type}"
* entity[data].what.identifier.system = "urn:ietf:rfc:3986"
* entity[data].what.identifier.value = "{url}"

RuleSet: QueryEntity
* entity[query].type = $entity#2
* entity[query].role = $role#24
* entity[query].query = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="
* entity[query].description = "The request as it was made, sealed under the key of its access event"

Instance: example-create
InstanceOf: SealgateAuditCreate
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111101]], [[01934f2e-7c1c-7c11-8a3b-111111111101]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d601]])
* insert RestBy($dcm#110153, $dcm#110152, INF)
* subtype[anyCreate] = $interaction#create
* action = #C
* outcome = #0
* insert DataEntity([[Organization]], [[https://fhir.clinic-north.example/Organization/laboratory-7/_history/1]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111100]])

Instance: example-patient-create
InstanceOf: SealgateAuditPatientCreate
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111102]], [[01934f2e-7c1c-7c11-8a3b-111111111102]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d602]])
* insert RestBy($dcm#110153, $dcm#110152, INF)
* subtype[anyCreate] = $interaction#create
* action = #C
* outcome = #0
* extension[rule].valueCoding = SealgateRefusal#consent-permit
* insert DataEntity([[Observation]], [[https://fhir.clinic-north.example/Observation/heart-rate-8/_history/1]])
* insert PatientEntity([[lena]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111100]])

Instance: example-read
InstanceOf: SealgateAuditRead
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111103]], [[01934f2e-7c1c-7c11-8a3b-111111111103]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d603]])
* insert RestBy($dcm#110152, $dcm#110153, IRCP)
* subtype[anyRead] = $interaction#read
* action = #R
* outcome = #0
* insert DataEntity([[Practitioner]], [[https://fhir.clinic-north.example/Practitioner/ada-voss/_history/4]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111103]])

Instance: example-patient-read
InstanceOf: SealgateAuditPatientRead
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111104]], [[01934f2e-7c1c-7c11-8a3b-111111111104]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d604]])
* insert RestBy($dcm#110152, $dcm#110153, IRCP)
* subtype[anyRead] = $interaction#vread
* action = #R
* outcome = #0
* extension[rule].valueCoding = SealgateRefusal#own-record
* insert DataEntity([[Condition]], [[https://fhir.clinic-north.example/Condition/asthma-2/_history/3]])
* entity[data].securityLabel = http://terminology.hl7.org/CodeSystem/v3-Confidentiality#N
* insert PatientEntity([[lena]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111103]])

Instance: example-update
InstanceOf: SealgateAuditUpdate
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111105]], [[01934f2e-7c1c-7c11-8a3b-111111111105]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d605]])
* insert RestBy($dcm#110153, $dcm#110152, INF)
* subtype[anyUpdate] = $interaction#update
* action = #U
* outcome = #0
* insert DataEntity([[Location]], [[https://fhir.clinic-north.example/Location/ward-3/_history/9]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111105]])

Instance: example-patient-update
InstanceOf: SealgateAuditPatientUpdate
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111106]], [[01934f2e-7c1c-7c11-8a3b-111111111106]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d606]])
* insert RestBy($dcm#110153, $dcm#110152, INF)
* subtype[anyUpdate] = $interaction#update
* action = #U
* outcome = #0
* insert DataEntity([[Condition]], [[https://fhir.clinic-north.example/Condition/asthma-2/_history/4]])
* insert PatientEntity([[lena]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111105]])

Instance: example-delete
InstanceOf: SealgateAuditDelete
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111107]], [[01934f2e-7c1c-7c11-8a3b-111111111107]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d607]])
* insert RestBy($dcm#110150, http://terminology.hl7.org/CodeSystem/provenance-participant-type#custodian, INF)
* subtype[anyDelete] = $interaction#delete
* action = #D
* outcome = #0
* insert DataEntity([[Slot]], [[https://fhir.clinic-north.example/Slot/monday-9]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111107]])

Instance: example-patient-delete
InstanceOf: SealgateAuditPatientDelete
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111108]], [[01934f2e-7c1c-7c11-8a3b-111111111108]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d608]])
* insert RestBy($dcm#110150, http://terminology.hl7.org/CodeSystem/provenance-participant-type#custodian, INF)
* subtype[anyDelete] = $interaction#delete
* action = #D
* outcome = #0
* insert DataEntity([[Observation]], [[https://fhir.clinic-north.example/Observation/heart-rate-8]])
* insert PatientEntity([[lena]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111107]])

Instance: example-query
InstanceOf: SealgateAuditQuery
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-111111111109]], [[01934f2e-7c1c-7c11-8a3b-111111111109]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d609]])
* insert RestBy($dcm#110153, $dcm#110152, IRCP)
* subtype[anySearch] = $interaction#search-type
* action = #E
* outcome = #0
* insert QueryEntity
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111109]])

Instance: example-patient-query
InstanceOf: SealgateAuditPatientQuery
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-11111111110a]], [[01934f2e-7c1c-7c11-8a3b-11111111110a]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d60a]])
* insert RestBy($dcm#110153, $dcm#110152, IRCP)
* subtype[anySearch] = $interaction#search-type
* action = #E
* outcome = #0
* extension[rule].valueCoding = SealgateRefusal#consent-permit
* insert QueryEntity
* insert PatientEntity([[lena]])
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-111111111109]])

RuleSet: ConsentDecisionBy(outcome, description)
* type = $dcm#110113
* subtype = $balpAuthz#AuthZ-Consent
* action = #E
* outcome = #{outcome}
* outcomeDesc = "{description}"
* source.type = $source#6
* agent[client].type = $dcm#110150
* agent[client].requestor = false
* agent[client].who.identifier.system = "https://login.clinic-north.example"
* agent[client].who.identifier.value = "ward-app"
* agent[client].network.extension.url = $absent
* agent[client].network.extension.valueCode = #unknown
* agent[user].type = $ircp#IRCP
* agent[user].requestor = true
* agent[user].who.identifier.system = "https://login.clinic-north.example"
* agent[user].who.identifier.value = "dr-ada-voss"
* agent[user].purposeOfUse = $purpose#TREAT
* agent[userorg].type = http://terminology.hl7.org/CodeSystem/v3-RoleClass#PROV
* agent[userorg].requestor = false
* agent[userorg].who.display = "Organization/clinic-north"
* agent[authorizer].type = http://terminology.hl7.org/CodeSystem/extra-security-role-type#authserver
* agent[authorizer].requestor = false
* agent[authorizer].who.identifier.system = "urn:ietf:rfc:3986"
* agent[authorizer].who.identifier.value = "https://fhir.clinic-north.example"
* entity[patient].type = $entity#1
* entity[patient].role = $role#1
* entity[patient].what = Reference(Patient/lena)
* entity[consent].type = http://hl7.org/fhir/resource-types#Consent
* entity[consent].what.type = "Consent"
* entity[consent].what.identifier.system = "urn:ietf:rfc:3986"
* entity[consent].what.identifier.value = "https://fhir.clinic-north.example/Consent/lena/_history/2"
* entity[consent].description = "provision.provision[0]"
* entity[token].type = $balpAgent#UserOauthAgent
* entity[token].what.identifier.value = "urn:ietf:params:oauth:jti:5c1e6c1b"

Instance: example-consent-permit
InstanceOf: SealgateAuditConsentDecision
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-11111111110a-consent]], [[01934f2e-7c1c-7c11-8a3b-11111111110a]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d60a]])
* insert ConsentDecisionBy(0, [[permitted by Consent]])
* extension[rule].valueCoding = SealgateRefusal#consent-permit

Instance: example-consent-deny
InstanceOf: SealgateAuditConsentDecision
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-11111111110b-consent]], [[01934f2e-7c1c-7c11-8a3b-11111111110b]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d60b]])
* insert ConsentDecisionBy(8, [[denied by Consent]])
* extension[rule].valueCoding = SealgateRefusal#consent-deny

Instance: example-refused
InstanceOf: SealgateAuditFailure
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-11111111110c]], [[01934f2e-7c1c-7c11-8a3b-11111111110c]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d60c]])
* insert RestBy($dcm#110153, $dcm#110152, IRCP)
* subtype = $interaction#search-type
* action = #E
* outcome = #4
* outcomeDesc = "The request was refused with status 403."
* extension[rule].valueCoding = SealgateRefusal#scope-missing
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-11111111110c]])
* insert QueryEntity

Instance: example-hidden
InstanceOf: SealgateAuditFailure
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-11111111110d]], [[01934f2e-7c1c-7c11-8a3b-11111111110d]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d60d]])
* insert RestBy($dcm#110153, $dcm#110152, IRCP)
* subtype = $interaction#search-type
* action = #E
* outcome = #8
* outcomeDesc = "2 resources of the patient were withheld."
* extension[rule].valueCoding = SealgateRefusal#implicit-deny
* insert Transaction([[01934f2e-7c1c-7c11-8a3b-11111111110c]])
* insert PatientEntity([[jonas]])

Instance: example-audit-read
InstanceOf: SealgateAuditOperation
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-11111111110e]], [[01934f2e-7c1c-7c11-8a3b-11111111110e]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d60e]])
* type = $dcm#110101
* subtype = SealgateEventKind#audit-read
* action = #R
* outcome = #0
* source.type = $source#4
* agent[0].type = $dcm#110150
* agent[0].requestor = false
* agent[0].who.identifier.system = "urn:ietf:rfc:3986"
* agent[0].who.identifier.value = "https://fhir.clinic-north.example"
* agent[1].type = $dcm#110151
* agent[1].requestor = true
* agent[1].who.display = "holder of the admin token"
* entity[0].type = $entity#2
* entity[0].role = $role#13
* entity[0].name = "audit-read"
* entity[0].detail[0].type = "what"
* entity[0].detail[0].valueString = "openings"

Instance: example-unauthenticated
InstanceOf: SealgateAuditOperation
Usage: #example
* insert EventOf([[01934f2e-7c1c-7c11-8a3b-11111111110f]], [[01934f2e-7c1c-7c11-8a3b-11111111110f]], [[1f0c5f1f4f0f7e1f4b1c3cbb0b9d7c6b5a4938271605f4e3d2c1b0a9f8e7d60f]])
* type = $dcm#110114
* subtype = SealgateEventKind#unauthenticated
* action = #E
* outcome = #4
* source.type = $source#4
* agent[0].type = $dcm#110150
* agent[0].requestor = true
* agent[0].who.identifier.system = "urn:ietf:rfc:3986"
* agent[0].who.identifier.value = "https://fhir.clinic-north.example"
* entity[0].type = $entity#2
* entity[0].role = $role#13
* entity[0].name = "unauthenticated"
* entity[0].detail[0].type = "minute"
* entity[0].detail[0].valueString = "2026-11-22T16:19:00.000Z"
* entity[0].detail[1].type = "token-expired"
* entity[0].detail[1].valueString = "12"
