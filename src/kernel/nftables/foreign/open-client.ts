import { NftablesClient } from '../client.js';

export type OpenClient = () => NftablesClient;

/** A client for one task, beside the one that the daemon keeps. The caller disposes it. */
export const openClient: OpenClient = () => NftablesClient.open();
