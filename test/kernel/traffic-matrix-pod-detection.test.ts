import { testSettings } from '../traffic/suite.js';

testSettings('node-cidr', 'bridge-interface', 'interface-prefix');
