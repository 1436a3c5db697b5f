// Verbs of external endpoints: register (which also renews) and deregister.
import { endpointDeregisterRequest, endpointRegisterRequest } from "../../../schemas/generated/messages.js";
import { admitDeregister, admitRegister } from "../../core/admit/endpoint.ts";
import { externalId } from "../../core/model.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

/** Saying it again is a renewal, so it carries no operation: an answer kept from before would renew nothing. */
export const register: Handler = async (host, request) => {
  const body = checked(endpointRegisterRequest, "endpoint-register-request", request.body);
  const namespace = namespaced(request);
  const { items, results } = admitRegister(host.state, namespace, body);
  const id = externalId(namespace, body.service, body.name);
  // What came late is decided behind a removal that is on its way: a program that is told that it is there, is there.
  if (items.length > 0 || !host.renewed(id)) {
    return host.change(undefined, (state) => {
      host.settled(id);
      return admitRegister(state, namespace, body);
    });
  }
  const { epoch, sequence } = host.state;
  return { epoch, sequence, results };
};

export const deregister: Handler = (host, request) => {
  const body = checked(endpointDeregisterRequest, "endpoint-deregister-request", request.body);
  const namespace = namespaced(request);
  return host.change(undefined, (state) => admitDeregister(state, namespace, body));
};
