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
  if (items.length === 0) host.renewed(externalId(namespace, body.service, body.name));
  // Decided behind a removal that is on its way: a program that is told that it is there, is there.
  const isLeaving = host
    .underWay()
    .some(
      (item) =>
        item.kind === "endpoint" &&
        item.verb === "removed" &&
        item.namespace === namespace &&
        item.service === body.service &&
        item.name === body.name,
    );
  if (items.length > 0 || isLeaving) {
    return host.change(undefined, (state) => admitRegister(state, namespace, body));
  }
  const { epoch, sequence } = host.state;
  return { epoch, sequence, results };
};

export const deregister: Handler = (host, request) => {
  const body = checked(endpointDeregisterRequest, "endpoint-deregister-request", request.body);
  const namespace = namespaced(request);
  return host.change(undefined, (state) => admitDeregister(state, namespace, body));
};
