Alias: $scope = http://terminology.hl7.org/CodeSystem/consentscope
Alias: $loinc = http://loinc.org
Alias: $actcode = http://terminology.hl7.org/CodeSystem/v3-ActCode
Alias: $reason = http://terminology.hl7.org/CodeSystem/v3-ActReason
Alias: $conf = http://terminology.hl7.org/CodeSystem/v3-Confidentiality
Alias: $participation = http://terminology.hl7.org/CodeSystem/v3-ParticipationType
Alias: $action = http://terminology.hl7.org/CodeSystem/consentaction

RuleSet: Provision(path)
* {path}.modifierExtension 0..0
* {path}.type ^short = "permit or deny, taken literally at each level"
* {path}.period MS
* {path}.actor MS
* {path}.actor.modifierExtension 0..0
* {path}.actor.role ^short = "IRCP, or unknown: it then satisfies no permit and every deny"
* {path}.actor.reference ^short = "A reference, or an identifier with its system"
* {path}.action MS
* {path}.securityLabel MS
* {path}.purpose MS
* {path}.class MS
* {path}.code MS
* {path}.dataPeriod MS
* {path}.data MS
* {path}.data.modifierExtension 0..0

Profile: SealgateConsent
Parent: Consent
Id: sealgate-consent
Title: "Consent that Sealgate understands"
Description: "A Consent of which Sealgate understands every element that decides. One that does not conform is not understood, and counts as a deny unless configured otherwise. Deeper nesting than two levels is understood too."
* ^experimental = false
* id 1..1
* implicitRules 0..0
* modifierExtension 0..0
* status MS
* scope ^short = "patient-privacy decides; research where configured; treatment and adr never"
* scope.coding 1..*
* patient 1..1
* patient.reference 1..1
* dateTime MS
* dateTime ^short = "Decides under most-recent"
* policy.modifierExtension 0..0
* policy.uri ^short = "The four implicit policies of IHE PCF are understood"
* policyRule ^short = "OPTIN, OPTINR, OPTOUT, OPTOUTE, EMRGONLY: the effect of an untyped root; against a type the stricter"
* verification.modifierExtension 0..0
* provision MS
* insert Provision(provision)
* insert Provision(provision.provision)
* provision.provision.type 1..1
* provision.provision.type ^short = "permit or deny: a nested provision without it is not understood"

Instance: consent-clinic-but-not-substance-use
InstanceOf: SealgateConsent
Usage: #example
Title: "A clinic may treat, but sees nothing about substance use"
* status = #active
* scope = $scope#patient-privacy
* category = $loinc#59284-0
* patient = Reference(Patient/lena)
* dateTime = "2026-03-02"
* organization = Reference(Organization/clinic-north)
* policy.uri = "https://clinic-north.example/privacy"
* provision.type = #permit
* provision.period.start = "2026-03-02"
* provision.actor.role = $participation#IRCP
* provision.actor.reference = Reference(Organization/clinic-north)
* provision.action = $action#access
* provision.purpose = $reason#TREAT
* provision.provision.type = #deny
* provision.provision.securityLabel = $actcode#SUD

Instance: consent-opt-out-but-emergencies
InstanceOf: SealgateConsent
Usage: #example
Title: "Nobody, but in an emergency"
* status = #active
* scope = $scope#patient-privacy
* category = $loinc#59284-0
* patient = Reference(Patient/jonas)
* dateTime = "2026-05-17T09:30:00Z"
* policyRule = $actcode#OPTOUTE
* provision.type = #deny
* provision.provision.type = #permit
* provision.provision.purpose = $reason#ETREAT

Instance: consent-one-document-for-research
InstanceOf: SealgateConsent
Usage: #example
Title: "One document, for one study, for a year"
* status = #active
* scope = $scope#research
* category = $loinc#59284-0
* patient = Reference(Patient/lena)
* dateTime = "2026-06-01"
* policy.uri = "https://clinic-north.example/research"
* provision.type = #permit
* provision.period.start = "2026-06-01"
* provision.period.end = "2027-05-31"
* provision.actor.role = $participation#IRCP
* provision.actor.reference.identifier.system = "https://registry.example/organizations"
* provision.actor.reference.identifier.value = "study-17"
* provision.purpose = $reason#HRESCH
* provision.securityLabel = $conf#N
* provision.dataPeriod.start = "2020-01-01"
* provision.data.meaning = #instance
* provision.data.reference = Reference(DocumentReference/discharge-2025)
