// Where one can go, and who sees it there.

import ApiOutlined from '@ant-design/icons-svg/es/asn/ApiOutlined';
import AuditOutlined from '@ant-design/icons-svg/es/asn/AuditOutlined';
import BankOutlined from '@ant-design/icons-svg/es/asn/BankOutlined';
import BranchesOutlined from '@ant-design/icons-svg/es/asn/BranchesOutlined';
import CommentOutlined from '@ant-design/icons-svg/es/asn/CommentOutlined';
import DashboardOutlined from '@ant-design/icons-svg/es/asn/DashboardOutlined';
import DollarOutlined from '@ant-design/icons-svg/es/asn/DollarOutlined';
import FileSearchOutlined from '@ant-design/icons-svg/es/asn/FileSearchOutlined';
import KeyOutlined from '@ant-design/icons-svg/es/asn/KeyOutlined';
import LineChartOutlined from '@ant-design/icons-svg/es/asn/LineChartOutlined';
import SettingOutlined from '@ant-design/icons-svg/es/asn/SettingOutlined';
import TeamOutlined from '@ant-design/icons-svg/es/asn/TeamOutlined';
import UserOutlined from '@ant-design/icons-svg/es/asn/UserOutlined';
import type { Outline } from '../part/icon';
import type { Right } from './session';

export type Place = {
  path: string;
  name: string;
  icon: Outline;
  right: Right;
  part: 'watch' | 'manage' | 'system';
};

export const PLACES: Place[] = [
  { path: '/overview', name: 'nav.overview', icon: DashboardOutlined, right: 'any', part: 'watch' },
  { path: '/usage', name: 'nav.usage', icon: LineChartOutlined, right: 'any', part: 'watch' },
  { path: '/requests', name: 'nav.requests', icon: FileSearchOutlined, right: 'any', part: 'watch' },
  { path: '/keys', name: 'nav.keys', icon: KeyOutlined, right: 'any', part: 'manage' },
  { path: '/groups', name: 'nav.groups', icon: TeamOutlined, right: 'any', part: 'manage' },
  { path: '/users', name: 'nav.users', icon: UserOutlined, right: 'readAll', part: 'manage' },
  {
    path: '/organizations',
    name: 'nav.organizations',
    icon: BankOutlined,
    right: 'organizations',
    part: 'manage',
  },
  { path: '/channels', name: 'nav.channels', icon: ApiOutlined, right: 'super', part: 'manage' },
  { path: '/models', name: 'nav.models', icon: DollarOutlined, right: 'any', part: 'manage' },
  { path: '/policies', name: 'nav.policies', icon: BranchesOutlined, right: 'readAll', part: 'manage' },
  { path: '/playground', name: 'nav.playground', icon: CommentOutlined, right: 'any', part: 'watch' },
  { path: '/audit', name: 'nav.audit', icon: AuditOutlined, right: 'readAll', part: 'system' },
  { path: '/system', name: 'nav.system', icon: SettingOutlined, right: 'super', part: 'system' },
];
