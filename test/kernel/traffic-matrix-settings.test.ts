import { testSettings } from '../traffic/suite.js';

testSettings('none', 'masquerade-all', 'node-ports-selected', 'node-ports-primary');
