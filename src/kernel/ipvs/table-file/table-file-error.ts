import { BaseError } from '../../../base/errors.js';

/** /proc/net/ip_vs does not exist, cannot be read, or has another format. The message is the end of a sentence about the file. */
export class TableFileError extends BaseError {}
