/** What TypeScript may use of setup.mjs, which has to be plain JavaScript. */
export declare class SetupError extends Error {}
export declare function checkHost(): void;
export declare function missingDebianPackages(): string[];
export declare function installDebianPackages(say: (line: string) => void): Promise<void>;
export declare function npmPackagesMatch(directory?: string): boolean;
export declare function installNpmPackages(say: (line: string) => void): Promise<void>;
export declare function setup(options?: {
  readonly npmOnly?: boolean;
  readonly say?: (line: string) => void;
}): Promise<void>;
