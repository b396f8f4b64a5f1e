/** The program stafctl. */
import { main } from './main.ts';
import { stafctl } from './tools.ts';

await main(stafctl);
