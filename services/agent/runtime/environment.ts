// Names of the variables by which a program learns its ports; the same on every driver.

/** `http-admin` → `SWAIN_PORT_HTTP_ADMIN` */
const portVariable = (name: string): string => `SWAIN_PORT_${name.toUpperCase().replaceAll("-", "_")}`;

/** The variables of ports whose number is known. */
export function portVariables(
  ports: readonly { readonly name: string; readonly port: number | undefined }[],
): Record<string, string> {
  return Object.fromEntries(
    ports.flatMap(({ name, port }) => (port === undefined ? [] : [[portVariable(name), String(port)]])),
  );
}
