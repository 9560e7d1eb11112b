import { testSettings } from '../traffic/suite.js';

testSettings('shared', 'shared-selected', 'shared-bridge', 'shared-in-cluster');
