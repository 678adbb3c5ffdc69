# STAND-IN for Gatekeeper's external_data, which gator does not have: answers from the case's ConfigMap. Never deploy.
# script.json holds `values` and `errors` by key and `systemError`, or `raw`: the whole reply as it is.
external_data(request) := object.get(script, "raw", reply) if {
  request.provider == "countersign"
  script := json.unmarshal(data.inventory.namespace["countersign-stub"].v1.ConfigMap["external-data"].data["script.json"])
  values := object.get(script, "values", {})
  failures_by_key := object.get(script, "errors", {})
  responses := [[key, value] | some key in request.keys; value := values[key]]
  errors := [[key, text] | some key in request.keys; text := failures_by_key[key]]
  reply := {"responses": responses, "errors": errors, "status_code": 200, "system_error": object.get(script, "systemError", "")}
}
