/** Files that are imported as their text; tools/text-imports.ts has the list for the bundlers. */
declare module '*.xml' {
  const text: string;
  export default text;
}
declare module '*.conf' {
  const text: string;
  export default text;
}
declare module '*.rules' {
  const text: string;
  export default text;
}
declare module '*.service' {
  const text: string;
  export default text;
}
declare module '*.sh' {
  const text: string;
  export default text;
}
