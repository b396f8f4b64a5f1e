/** The program stacctl. */
import { main } from './main.ts';
import { stacctl } from './tools.ts';

await main(stacctl);
