/** The one function of the driver's that is used and has no types of its own. */
declare module "pg/lib/utils.js" {
  const utils: {
    /** A parameter as the server takes it: dates, arrays and objects as text, bytes as they are. */
    prepareValue(value: unknown): string | Buffer | null;
  };
  export default utils;
}
