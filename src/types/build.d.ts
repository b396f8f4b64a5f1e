/** The project's version: the bundler puts package.json's in its place. */
declare const __VERSION__: string;
